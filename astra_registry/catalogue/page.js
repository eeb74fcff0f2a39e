"use strict";
// The page: what is seen and done. Everything is built from text nodes, so that no product can bring markup.

(() => {
  const { data, releases, products, byName, search, plan, resolve } = Catalogue;
  const $ = (id) => document.getElementById(id);

  /** Return an element; attributes that are null are left out, functions are listeners. */
  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
    return element;
  }

  // ---------------------------------------------------------------- releases in words

  const order = new Map(data.releases.map((release, i) => [release.name, i]));
  const family = (release) => release.replace(/\d+$/, "");

  /** Return releases as text, runs drawn together: dr10 … dr17, ipl1, sdsswork. */
  function inWords(names) {
    const runs = [];
    for (const name of names) {
      const last = runs.at(-1)?.at(-1);
      if (last && family(last) === family(name) && order.get(name) === order.get(last) + 1) runs.at(-1).push(name);
      else runs.push([name]);
    }
    return runs.map((run) => (run.length > 2 ? `${run[0]} … ${run.at(-1)}` : run.join(", "))).join(", ");
  }

  /** Return releases in few letters, for the list: dr12–17,19,20 ipl3,4 work. */
  function inBrief(names) {
    const kinds = new Map();
    for (const name of names) {
      const kind = /^(dr|ipl)\d+$/.test(name) ? family(name) : "work";
      if (!kinds.has(kind)) kinds.set(kind, []);
      kinds.get(kind).push(Number(name.replace(/\D+/, "")));
    }
    const numbers = (sorted) => {
      const runs = [];
      for (const n of sorted) {
        if (runs.at(-1)?.at(-1) === n - 1) runs.at(-1).push(n);
        else runs.push([n]);
      }
      return runs.map((run) => (run.length > 2 ? `${run[0]}–${run.at(-1)}` : run.join())).join();
    };
    return [...kinds].map(([kind, sorted]) => (kind === "work" ? kind : kind + numbers(sorted))).join(" ");
  }

  const releasesOf = (product) => data.releases.map((release) => release.name).filter((name) => name in product.templates);

  /** Return the runs of releases with the same templates: {releases, templates}. */
  function groupsOf(product) {
    const groups = new Map();
    for (const release of releasesOf(product)) {
      const key = product.templates[release].map((template) => template.number).join();
      if (!groups.has(key)) groups.set(key, { releases: [], templates: product.templates[release] });
      groups.get(key).releases.push(release);
    }
    return [...groups.values()];
  }

  /** Return the release that a product is first shown in: the newest public one. */
  function newest(product) {
    const names = releasesOf(product);
    return names.filter((name) => releases.get(name).public).at(-1) ?? names.at(-1);
  }

  // ---------------------------------------------------------------- the list

  const filters = { text: $("search"), release: $("release"), parameter: $("parameter"), plugin: $("plugin") };
  const results = $("results");
  let shown = [];

  function fillFilters() {
    const counted = (names) => {
      const counts = new Map();
      for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
      return counts;
    };
    const options = (select, all, counts, names) => {
      select.append(h("option", { value: "" }, all));
      for (const name of names) select.append(h("option", { value: name }, `${name} (${counts.get(name)})`));
    };
    const byRelease = counted(products.flatMap((product) => Object.keys(product.templates)));
    options(filters.release, "any", byRelease, data.releases.map((release) => release.name));
    const byParameter = counted(products.flatMap((product) => product.parameters.map((p) => p.name)));
    options(filters.parameter, "any", byParameter, [...byParameter.keys()].sort((a, b) => a.localeCompare(b)));
    const byPlugin = counted(products.map((product) => product.plugin.name));
    options(filters.plugin, "any", byPlugin, [...byPlugin.keys()]);
  }

  function list() {
    const wanted = Object.fromEntries(Object.entries(filters).map(([name, input]) => [name, input.value]));
    shown = search(wanted);
    const rows = shown.map((product) =>
      h("li", {},
        h("a", { href: `#/${encodeURIComponent(product.name)}`, tabindex: -1, "data-name": product.name },
          h("span", { class: "name" }, product.name),
          h("span", { class: "when", title: inWords(releasesOf(product)) }, inBrief(releasesOf(product))),
          product.summary && h("span", { class: "summary" }, product.summary))));
    results.replaceChildren(...rows);
    const isAll = !Object.values(wanted).some(Boolean);
    $("count").textContent = isAll ? `${products.length} products` : `${shown.length} of ${products.length} products`;
    if (!shown.length) results.append(h("li", { class: "none" }, nothingFits(wanted.text.trim())));
    $("clear").hidden = isAll;
    markCurrent();
  }

  /** Say what may help when nothing was found; a path or URL is for another command. */
  function nothingFits(text) {
    if (!/[/]|[.](fits|gz|fz|par|csv|parquet)\b/.test(text)) return "No product fits all of that. Fewer words, or any release, may find it.";
    return ["What lives at a path or URL is told by ", h("code", {}, `astra-registry identify ${quotedForShell(text)}`), "."];
  }

  /** Mark the open product in the list, and let Tab reach it (else the first). */
  function markCurrent() {
    const links = [...results.querySelectorAll("a")];
    const current = links.find((link) => link.dataset.name === state.name);
    for (const link of results.querySelectorAll("[aria-current], [tabindex='0']")) {
      link.removeAttribute("aria-current");
      link.tabIndex = -1;
    }
    current?.setAttribute("aria-current", "page");
    const reached = current ?? links[0];
    if (reached) reached.tabIndex = 0;
  }

  // ---------------------------------------------------------------- what is open, and its address

  const state = { name: null, release: null, values: {} };

  function address() {
    const query = new URLSearchParams({ release: state.release });
    for (const [name, value] of Object.entries(state.values)) if (value) query.set(`p.${name}`, value);
    return `#/${encodeURIComponent(state.name)}?${query}`;
  }

  function readAddress() {
    const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
    let name;
    try {
      name = decodeURIComponent(path);
    } catch {
      name = path;
    }
    const product = byName.get(name);
    document.body.classList.toggle("open", Boolean(name));
    state.name = product ? name : null;
    if (!product) {
      welcome(name);
      markCurrent();
      return;
    }
    const given = new URLSearchParams(query);
    const asked = given.get("release") ?? filters.release.value;
    state.release = asked in product.templates ? asked : newest(product);
    state.values = {};
    for (const [key, value] of given) if (key.startsWith("p.")) state.values[key.slice(2)] = value;
    show(product);
    markCurrent();
  }

  // Typing must not fill the browser's history.
  const remember = () => history.replaceState(null, "", address());

  function welcome(unknown) {
    document.title = document.querySelector(".brand").textContent;
    const some = products.filter((product) => product.examples.length).slice(0, 6);
    $("product").replaceChildren(
      h("div", { class: "welcome" },
        unknown ? h("p", { class: "wrong", role: "alert" }, `There is no product named ‘${unknown}’ in this catalogue.`) : "",
        h("h1", {}, "Where every file is"),
        h("p", {}, "Choose a product to see what it holds, where each release keeps it, and how the path follows from its parameters."),
        some.length ? h("p", {}, "Start with ", some.flatMap((product, i) => [i ? ", " : "",
          h("a", { href: `#/${encodeURIComponent(product.name)}` }, product.name)]), ".") : ""));
  }

  // ---------------------------------------------------------------- one product

  function show(product) {
    document.title = `${product.name} – ${document.querySelector(".brand").textContent}`;
    const groups = groupsOf(product);
    $("product").replaceChildren(
      h("article", {},
        h("a", { class: "back", href: "#" }, "← all products"),
        h("header", {},
          h("h1", { tabindex: -1 }, product.name),
          product.summary ? h("p", { class: "lead" }, product.summary) : "",
          product.about ? h("p", { class: "about" }, product.about) : "",
          h("p", { class: "from" }, `from ${product.plugin.distribution} ${product.plugin.version}`)),
        strip(product, groups),
        h("section", { id: "where", "aria-labelledby": "where-title" }),
        product.examples.length ? examples(product) : "",
        differences(product, groups),
        parameterTable(product)));
    showRelease(product);
  }

  /** The releases as a strip: neighbours of one colour share a template; the one that is chosen is filled. */
  function strip(product, groups) {
    const colour = new Map(groups.flatMap((group, i) => group.releases.map((release) => [release, i % 6])));
    const kinds = new Map();
    for (const { name } of data.releases) {
      const label = { dr: "DR", ipl: "IPL" }[family(name)] ?? "work";
      if (!kinds.has(label)) kinds.set(label, []);
      kinds.get(label).push(name);
    }
    const cell = (name) => {
      const has = name in product.templates;
      const label = /^(dr|ipl)\d+$/.test(name) ? name.replace(/\D+/, "") : name;
      return h("label", { class: has ? `cell g${colour.get(name)}` : "cell absent", title: has ? name : `not in ${name}` },
        h("input", { type: "radio", name: "shown-release", value: name, "aria-label": name, disabled: !has,
          checked: name === state.release, change: () => { state.release = name; remember(); showRelease(product); } }),
        h("span", { "aria-hidden": "true" }, label));
    };
    return h("fieldset", { class: "strip" },
      h("legend", {}, "Release"),
      h("div", { class: "runs" }, [...kinds].map(([label, names]) =>
        h("div", { class: "run" }, h("span", { class: "kind", "aria-hidden": "true" }, label), h("div", { class: "cells" }, names.map(cell))))),
      h("p", { class: "hint" }, groups.length === 1
        ? "Every release that has it keeps it in the same way."
        : `Releases of one colour share a template; there are ${groups.length}.`));
  }

  /** Return a template with its root, fields and derived gaps marked; text that `changed` holds is marked as new. */
  function notation(text, fresh = null) {
    return h("code", { class: "template" }, Template.tokens(text).map((token) => {
      if (token.literal === undefined) {
        const about = token.gap ? `made from ${[...(Template.GAPS[token.gap]?.reads ?? []), ...(Template.GAPS[token.gap]?.optional ?? [])].join(", ") || "other parameters"}` : null;
        return h("span", { class: `${token.gap ? "gap" : "key"}${fresh?.has(token.text) ? " fresh" : ""}`, title: about }, token.text);
      }
      const root = /^\$\w+/.exec(token.literal);
      return [root ? h("span", { class: `root${fresh?.has(root[0]) ? " fresh" : ""}` }, root[0]) : "",
        ...words(root ? token.literal.slice(root[0].length) : token.literal).map((word) =>
          fresh?.has(word) && word !== "/" ? h("span", { class: "fresh" }, word) : word)];
    }));
  }

  /** Say what the root and the derived gaps of a template stand for. */
  function meanings(text, release) {
    const root = /^\$(\w+)/.exec(text)?.[1];
    const known = root && release.roots[root];
    const gaps = [...new Set(Template.tokens(text).filter((token) => token.gap).map((token) => token.gap))];
    const follows = gaps.map((gap) => {
      const { reads = [], optional = [] } = Template.GAPS[gap] ?? {};
      return [h("code", { class: "gap" }, `@${gap}|`), ` follows from ${[...reads, ...optional].join(", ") || "the parameters"}`];
    });
    const told = [known ? [[h("code", { class: "root" }, `$${root}`), " is ", h("code", {}, `${known.folder}/`)]] : [], follows].flat();
    return told.length ? h("p", { class: "hint means" }, told.map((item, i) => [i ? "; " : "", item]), ".") : "";
  }

  const words = (literal) => literal.split(/(\/)/).filter(Boolean);

  /** Return the pieces of a template, for telling what is new in another. */
  const piecesOf = (text) => new Set(Template.tokens(text).flatMap((token) => {
    if (token.literal === undefined) return [token.text];
    const root = /^\$\w+/.exec(token.literal);
    return [root?.[0], ...words(root ? token.literal.slice(root[0].length) : token.literal)].filter(Boolean);
  }));

  function newIn(text, before) {
    const old = piecesOf(before);
    return new Set([...piecesOf(text)].filter((word) => !old.has(word)));
  }

  // ---------------------------------------------------------------- the form

  function showRelease(product) {
    const { used } = plan(product, state.release);
    const fields = product.parameters.filter((p) => used.has(p.name)).map((p) => field(product, p));
    const [first, ...further] = product.templates[state.release];
    const release = releases.get(state.release);
    $("where").replaceChildren(
      h("h2", { id: "where-title" }, `In ${state.release}`, h("span", { class: release.public ? "badge" : "badge closed" }, release.public ? "public" : "for the collaboration")),
      notation(first.text),
      meanings(first.text, release),
      ...further.map((template) => h("p", { class: "further" }, "Servers keep it here too: ", notation(template.text))),
      h("div", { class: "fill" },
        h("form", { class: "form", "aria-label": "Parameters", submit: (event) => event.preventDefault() },
          fields.length ? fields : h("p", { class: "hint" }, "It takes no parameters: there is one such file.")),
        h("div", { class: "outcome", role: "group", "aria-label": "Path, URL and command" })));
    update(product);
  }

  function field(product, p) {
    const id = `p-${p.name}`;
    const standard = p.defaults ? p.defaults[state.release] : p.default;
    const placeholder = standard ?? (p.follows ? `from ${p.follows.join(", ")}` : "");
    const given = state.values[p.name] ?? "";
    const listen = {
      input: (event) => { state.values[p.name] = event.target.value; remember(); update(product); },
      focus: () => point(p.name, true),
      blur: () => point(p.name, false),
    };
    const common = { id, name: p.name, "aria-describedby": `${id}-hint ${id}-wrong`, ...listen };
    const control = p.choices
      ? h("select", common,
          h("option", { value: "" }, placeholder ? `${placeholder}${standard ? " (default)" : ""}` : "choose"),
          p.choices.map((choice) => h("option", { value: choice, selected: String(choice) === given }, String(choice))))
      : h("input", { ...common, value: given, placeholder, spellcheck: "false", autocapitalize: "none",
          inputmode: p.type === "int" ? "numeric" : null });
    return h("div", { class: "field", "data-name": p.name },
      h("label", { for: id }, h("span", { class: "key" }, p.name), h("span", { class: "type" }, p.type, p.unit ? ` [${p.unit}]` : "")),
      control,
      h("p", { class: "hint", id: `${id}-hint` }, p.doc),
      h("p", { class: "wrong", id: `${id}-wrong` }));
  }

  /** Mark, in the path, what follows from a parameter. */
  function point(name, on) {
    for (const piece of $("where").querySelectorAll(".outcome [data-from]")) {
      piece.classList.toggle("pointed", on && piece.dataset.from.split(" ").includes(name));
    }
  }

  function update(product) {
    const found = resolve(product, state.release, state.values);
    for (const box of $("where").querySelectorAll(".field")) {
      const name = box.dataset.name, control = box.querySelector("input, select");
      const wrong = found.wrong[name];
      control.setAttribute("aria-invalid", wrong ? "true" : "false");
      box.querySelector(".wrong").textContent = wrong ?? "";
      if (found.origins[name] === "derived") {
        const text = `${found.values[name]} (from ${product.parameters.find((p) => p.name === name).follows.join(", ")})`;
        if (control.tagName === "SELECT") control.options[0].textContent = text;
        else control.placeholder = text;
      }
    }
    const rows = [];
    const before = found.place === "software" ? data.places.software : data.places.sas;
    const pieces = found.pieces.map((piece) =>
      h("span", { class: piece.missing ? `lacks ${piece.derived ? "gap" : "key"}` : piece.derived ? "gap" : piece.from.length ? "key" : null,
        "data-from": piece.from.join(" "), title: piece.from.length ? `from ${piece.from.join(", ")}` : null }, piece.text));
    rows.push(row("Path", found.path, found.path ? exactly(found, before, pieces) : [`${before}/`, pieces]));
    const told = [...found.errors];
    if (found.missing.length) told.push(`It needs ${found.missing.join(", ")}.`);
    const open = found.worked.filter((name) => !(name in found.values));
    if (open.length && !found.missing.length) {
      told.push(`${open.join(", ")} follows from ${product.parameters.filter((p) => open.includes(p.name)).flatMap((p) => p.follows).join(", ")}: the command works it out; give it here to see the path.`);
    }
    const isAsked = !found.missing.length && !Object.keys(found.wrong).length && !found.errors.length;
    if (found.path) {
      rows.push(found.url ? row("URL", found.url) : row("URL", null, ["a software product: it is not on the archive server"]));
      for (const place of found.further) if (place.url) rows.push(row("or", place.url));
    }
    if (isAsked) {
      rows.push(row("Command", command("resolve", product)), row("Fetch", command("fetch", product)), row("Python", python(product)));
    }
    $("where").querySelector(".outcome").replaceChildren(
      h("p", { class: told.length ? "told" : "told done", role: "status" }, told.join(" ") || "Complete."),
      h("dl", {}, rows));
    const focused = document.activeElement?.closest(".field")?.dataset.name;
    if (focused) point(focused, true);
  }

  /** Show the pieces when together they are the path; a folder that is left out of local paths is not shown either. */
  const exactly = (found, before, pieces) =>
    `${before}/${found.pieces.map((piece) => piece.text).join("")}` === found.path ? [`${before}/`, pieces] : [found.path];

  function row(label, text, content = [text]) {
    const id = `copy-${label.toLowerCase()}`;
    const copy = h("button", { type: "button", class: "copy", "aria-label": `Copy the ${label === "URL" ? label : label.toLowerCase()}`, click: async (event) => {
      const button = event.currentTarget;
      await toClipboard(text);
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1200);
    } }, "copy");
    return [h("dt", {}, label, text ? copy : ""), h("dd", {}, h("code", { id: text ? id : null, class: text ? null : "partial" }, content))];
  }

  async function toClipboard(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {  // a page from disk may not be allowed to
      const area = h("textarea", { style: "position:fixed;opacity:0" });
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  }

  const quotedForShell = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);
  const quotedForPython = (text) => `"${text.replace(/[\\"]/g, "\\$&")}"`;

  function given(product) {
    const { used } = plan(product, state.release);
    return product.parameters.filter((p) => used.has(p.name) && state.values[p.name]?.trim()).map((p) => [p, state.values[p.name].trim()]);
  }

  function command(verb, product) {
    const options = given(product).map(([p, value]) =>
      value.startsWith("-") ? `--${p.attribute}=${quotedForShell(value)}` : `--${p.attribute} ${quotedForShell(value)}`);
    return [`astra-registry ${verb} ${product.name} --release ${state.release}`, ...options].join(" ");
  }

  function python(product) {
    const keywords = given(product).map(([p, value]) =>
      `${p.attribute}=${p.type === "int" ? BigInt(value) : quotedForPython(value)}`);
    return `registry.create("${product.name}", ${[`release="${state.release}"`, ...keywords].join(", ")})`;
  }

  // ---------------------------------------------------------------- examples, differences, parameters

  function examples(product) {
    return h("section", { class: "examples", "aria-labelledby": "examples-title" },
      h("h2", { id: "examples-title" }, "Examples"),
      h("ul", {}, product.examples.filter(([release]) => release in product.templates).map(([release, values]) => {
        const found = resolve(product, release, values);
        const path = found.pieces.map((piece) => piece.text).join("");
        return h("li", {},
          h("button", { type: "button", class: "use", click: () => {
            state.release = release;
            state.values = { ...values };
            remember();
            show(product);
            $("where").scrollIntoView({ block: "start" });
            $("where").querySelector("input, select")?.focus({ preventScroll: true });
          } }, `Use in ${release}`),
          h("code", {}, path),
          h("p", { class: "hint" }, Object.entries(values).map(([name, value]) => `${name} = ${value}`).join(", ")));
      })));
  }

  function differences(product, groups) {
    const steps = groups.map((group, i) => {
      const text = group.templates[0].text;
      const before = groups[i - 1];
      const notes = before ? changes(product, before.releases[0], group.releases[0]) : [];
      return h("li", { class: `g${i % 6}` },
        h("h3", {}, inWords(group.releases)),
        notation(text, before ? newIn(text, before.templates[0].text) : null),
        notes.length ? h("p", { class: "hint" }, notes.join("; ")) : "");
    });
    const names = releasesOf(product);
    const now = newest(product), texts = (name) => product.templates[name].map((template) => template.number).join();
    const then = names.slice(0, names.indexOf(now)).reverse().find((name) => texts(name) !== texts(now)) ?? names[0];
    const areAlike = groups.length === 1 && names.every((name) => !changes(product, names[0], name).length);
    return h("section", { class: "differences", "aria-labelledby": "differences-title" },
      h("h2", { id: "differences-title" }, groups.length > 1 ? "What changed between releases" : "In all releases"),
      h("ol", { class: "steps" }, steps),
      areAlike ? "" : comparison(product, names, then, now));
  }

  /** Return, in words, what a release asks for that another does not, and the other way round. */
  function changes(product, old, fresh) {
    const before = plan(product, old).used, after = plan(product, fresh).used;
    const only = (these, those) => [...these].filter((name) => !those.has(name));
    const notes = [];
    if (only(after, before).length) notes.push(`takes ${only(after, before).join(", ")}`);
    if (only(before, after).length) notes.push(`no longer takes ${only(before, after).join(", ")}`);
    for (const p of product.parameters) {
      if (p.defaults && before.has(p.name) && after.has(p.name) && p.defaults[old] !== p.defaults[fresh]) {
        const [was, is] = [p.defaults[old], p.defaults[fresh]];
        notes.push(is ? `${p.name} is ${is} by default${was ? ` (was ${was})` : ""}` : `${p.name} has no default (was ${was})`);
      }
    }
    return notes;
  }

  /** Any two releases beside each other, with what is new in each marked. */
  function comparison(product, names, then, now) {
    const compared = h("div", { id: "compared", role: "status" });
    const choose = (id, chosen) =>
      h("select", { id, change: () => compare() }, names.map((name) => h("option", { value: name, selected: name === chosen }, name)));
    const [from, to] = [choose("compare-old", then), choose("compare-new", now)];

    function compare() {
      const [old, fresh] = [from.value, to.value];
      const [before, after] = [product.templates[old][0].text, product.templates[fresh][0].text];
      const notes = changes(product, old, fresh);
      const line = (release, text, other) => h("div", { class: "line" }, h("span", { class: "release" }, release), notation(text, newIn(text, other)));
      const lines = before === after ? [h("p", {}, "The same template."), notation(before)] : [line(old, before, after), line(fresh, after, before)];
      const told = h("p", { class: "hint" }, notes.length ? `${fresh} ${notes.join("; ")}.` : "The same parameters.");
      compared.replaceChildren(...lines, told);
    }

    compare();
    return h("div", { class: "compare" },
      h("h3", {}, "Compare two releases"),
      h("p", { class: "pair" },
        h("span", {}, h("label", { for: "compare-old" }, "from"), from), h("span", {}, h("label", { for: "compare-new" }, "to"), to)),
      compared);
  }

  /** Return the default that each release has of its own, releases with one value together. */
  function ownOf(p, names) {
    const releasesBy = new Map();
    for (const name of names) {
      const value = p.defaults[name];
      if (value !== undefined) releasesBy.set(value, [...(releasesBy.get(value) ?? []), name]);
    }
    return [...releasesBy].map(([value, of], i) => [i ? ", " : "", h("code", {}, value), ` in ${inWords(of)}`]);
  }

  function parameterTable(product) {
    if (!product.parameters.length) return "";
    const names = releasesOf(product);
    const standard = (p) => {
      if (p.follows) return `from ${p.follows.join(", ")}`;
      if (p.defaults) return ownOf(p, names);
      if (p.optional) return "only where it is used";
      return p.default ?? "required";
    };
    return h("section", { class: "parameters", "aria-labelledby": "parameters-title" },
      h("h2", { id: "parameters-title" }, "Parameters"),
      h("div", { class: "scroll", role: "region", "aria-labelledby": "parameters-title", tabindex: 0 },
        h("table", {},
          h("thead", {}, h("tr", {}, ["name", "type", "what it is", "default", "used in"].map((title) => h("th", { scope: "col" }, title)))),
          h("tbody", {}, product.parameters.map((p) => h("tr", {},
            h("th", { scope: "row" }, h("code", { class: "key" }, p.name), p.aliases ? h("span", { class: "hint" }, ` also ${p.aliases.join(", ")}`) : ""),
            h("td", {}, p.type, p.unit ? ` [${p.unit}]` : ""),
            h("td", {}, p.doc, p.choices ? h("span", { class: "hint" }, ` One of ${p.choices.join(", ")}.`) : ""),
            h("td", {}, standard(p)),
            h("td", {}, inWords(names.filter((name) => plan(product, name).used.has(p.name))) || "–")))))));
  }

  // ---------------------------------------------------------------- keys

  function move(step) {
    const links = [...results.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    const next = links[Math.max(0, Math.min(links.length - 1, at < 0 ? 0 : at + step))];
    if (!next) return;
    for (const link of results.querySelectorAll("[tabindex='0']")) link.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  const isTyping = (element) => element.matches("input:not([type=radio]), select, textarea");

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inList = results.contains(event.target), inSearch = event.target === filters.text;
    if (event.key === "/" && !isTyping(event.target)) {
      event.preventDefault();
      filters.text.focus();
      filters.text.select();
    } else if (event.key === "ArrowDown" && (inList || inSearch || event.target === document.body)) {
      event.preventDefault();
      move(1);
    } else if (event.key === "ArrowUp" && inList) {
      event.preventDefault();
      if (document.activeElement === results.querySelector("a")) filters.text.focus();
      else move(-1);
    } else if ((event.key === "Home" || event.key === "End") && inList) {
      event.preventDefault();
      move(event.key === "Home" ? -products.length : products.length);
    } else if (event.key === "Enter" && inSearch) {
      event.preventDefault();
      if (shown.length) open(shown[0].name);
    } else if (event.key === "Escape") {
      escape(event, inList, inSearch);
    }
  });

  function escape(event, inList, inSearch) {
    event.preventDefault();
    if (inSearch && filters.text.value) {
      filters.text.value = "";
      list();
    } else if (inSearch) {
      filters.text.blur();
    } else if (inList) {
      filters.text.focus();
    } else if (state.name) {
      const name = state.name;
      if (matchMedia("(max-width: 55rem)").matches) location.hash = "";
      const link = [...results.querySelectorAll("a")].find((one) => one.dataset.name === name);
      (link ?? filters.text).focus();
    } else {
      filters.text.focus();
    }
  }

  function open(name) {
    const wanted = `#/${encodeURIComponent(name)}`;
    if (location.hash.split("?")[0] === wanted) focusTitle();
    else location.hash = wanted;
  }

  function focusTitle() {
    $("product").querySelector("h1")?.focus({ preventScroll: true });
    (document.body.classList.contains("open") ? $("product") : document.body).scrollTop = 0;
    scrollTo(0, 0);
  }

  results.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(link.dataset.name);
  });
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    $("product").focus();
  });
  document.querySelector(".filters").addEventListener("submit", (event) => event.preventDefault());
  for (const input of Object.values(filters)) input.addEventListener("input", list);
  $("clear").addEventListener("click", () => {
    for (const input of Object.values(filters)) input.value = "";
    list();
    filters.text.focus();
  });
  addEventListener("hashchange", () => {
    readAddress();
    if (state.name) focusTitle();
  });

  fillFilters();
  readAddress();
  list();
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
})();
