"use strict";
// Finding products: the registry of the page, its search and its filters.

const Catalogue = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const releases = new Map(data.releases.map((release) => [release.name, release]));
  for (const release of data.releases) {
    for (const [variable, [place, folder]] of Object.entries(release.roots)) release.roots[variable] = { place, folder };
  }
  const products = data.products.map((product) => ({
    ...product,
    plugin: data.plugins[product.plugin],
    parameters: product.parameters.map((number) => data.parameters[number]),
    templates: Object.fromEntries(
      Object.entries(product.templates).map(([release, numbers]) => [
        release,
        numbers.map((number) => ({ text: data.templates[number][0], name: data.templates[number][1], number })),
      ]),
    ),
  }));
  const byName = new Map(products.map((product) => [product.name, product]));
  for (const product of products) {
    const names = product.parameters.flatMap((p) => [p.name, ...(p.aliases ?? []), p.doc]);
    const texts = Object.values(product.templates).flatMap((several) => several.map((template) => template.text));
    product.sought = {
      name: product.name.toLowerCase(),
      summary: product.summary.toLowerCase(),
      parameters: names.join(" ").toLowerCase(),
      templates: [...new Set(texts)].join(" ").toLowerCase(),
    };
  }

  /** Return how well a product fits the words (0 best), or null when one of them is nowhere in it. */
  function rank(words, { name, summary, parameters, templates }) {
    let sum = 0;
    for (const word of words) {
      if (name === word) sum += 0;
      else if (name.startsWith(word)) sum += 1;
      else if (name.includes(word)) sum += 2;
      else if (summary.includes(word)) sum += 3;
      else if (parameters.includes(word)) sum += 4;
      else if (templates.includes(word)) sum += 5;
      else return null;
    }
    return sum;
  }

  /** Return the products that hold every word of a text and pass the filters, the closest first. */
  function search({ text = "", release = "", parameter = "", plugin = "" } = {}) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [];
    for (const product of products) {
      if (release && !(release in product.templates)) continue;
      if (plugin && product.plugin.name !== plugin) continue;
      if (parameter && !uses(product, parameter, release)) continue;
      const fit = rank(words, product.sought);
      if (fit !== null) found.push([fit, product]);
    }
    return found.sort((a, b) => a[0] - b[0]).map(([, product]) => product);
  }

  /** Whether a product has a parameter of that name or alias; with a release, whether that release uses it. */
  function uses(product, name, release) {
    const declared = product.parameters.find((p) => p.name === name || p.aliases?.includes(name));
    return Boolean(declared) && (!release || plan(product, release).used.has(declared.name));
  }

  /** Return what a release asks of a product: which parameters it uses and needs, and which fill its templates' keys. */
  function plan(product, release) {
    product.plans ??= new Map();
    if (!product.plans.has(release)) product.plans.set(release, planned(product, release));
    return product.plans.get(release);
  }

  function planned(product, release) {
    const spelled = new Map();
    for (const p of product.parameters) spelled.set(p.name, p);
    for (const p of product.parameters) for (const alias of p.aliases ?? []) if (!spelled.has(alias)) spelled.set(alias, p);
    const filled = new Set(), required = new Set(), keys = new Map();
    product.templates[release].forEach((template, i) => {
      const { needed, optional } = Template.keysOf(template.text);
      for (const key of [...needed, ...optional]) {
        const p = spelled.get(key) ?? spelled.get(`${key}_`);  // a template's {release} is release_
        if (!p) continue;
        keys.set(key, p.name);
        filled.add(p.name);
        if (i === 0 && needed.includes(key)) required.add(p.name);
      }
    });
    const feeding = new Set();
    for (const p of product.parameters) {
      if (filled.has(p.name)) for (const name of p.follows ?? []) if (spelled.has(name)) feeding.add(spelled.get(name).name);
    }
    const used = new Set(product.parameters.map((p) => p.name).filter((name) => filled.has(name) || feeding.has(name)));
    return { used, required, keys, spelled };
  }

  /**
   * Return what a product is with these values (text, by parameter): its pieces, path, URL, and what lacks or is wrong.
   * `origins` tells of each value whether it was given, is a default, or follows from others.
   */
  function resolve(product, release, given) {
    const { used, required, keys, spelled } = plan(product, release);
    const known = (name) => (name === "release" ? release : values[spelled.get(name)?.name]);
    const values = {}, origins = {}, errors = {};
    for (const p of product.parameters) {
      const text = given[p.name]?.trim();
      if (!text || !used.has(p.name)) continue;
      const { value, error } = Template.converted(text, p);
      if (error) errors[p.name] = error;
      else [values[p.name], origins[p.name]] = [value, "given"];
    }
    const waiting = product.parameters.filter((p) => used.has(p.name) && !(p.name in values) && !(p.name in errors));
    for (const p of waiting) {
      const text = p.defaults ? p.defaults[release] : p.default;
      if (text !== undefined) [values[p.name], origins[p.name]] = [Template.converted(text, p).value, "default"];
    }
    for (const p of waiting) {
      if (!p.follows || p.name in values) continue;
      const row = p.table.find((cells) => p.follows.every((name, i) => String(known(name)) === cells[i]));
      if (row) [values[p.name], origins[p.name]] = [Template.converted(row.at(-1), p).value, "derived"];
    }
    // What follows from another, in a way that only Python knows, is no reason to ask for it.
    const unknown = product.parameters.filter((p) => used.has(p.name) && !(p.name in values) && !(p.name in errors));
    const worked = unknown.filter((p) => p.follows?.every((name) => known(name) !== undefined)).map((p) => p.name);
    const isOpen = (p) => !(p.optional || p.defaults || p.default !== undefined);
    const lacking = unknown.filter((p) => !p.follows && (required.has(p.name) || isOpen(p))).map((p) => p.name);
    const missing = product.parameters.map((p) => p.name).filter((name) => lacking.includes(name));
    const byKey = {};
    for (const [key, name] of keys) if (name in values) byKey[key] = values[name];
    const { roots, url } = releases.get(release);
    const places = product.templates[release].map((template) => {
      try {
        const filled = Template.fill(template.text, template.name, roots, byKey);
        for (const piece of filled.pieces) piece.from = [...new Set(piece.from.map((key) => keys.get(key)).filter(Boolean))];
        const complete = !filled.pieces.some((piece) => piece.missing) && !filled.errors.length && !Object.keys(errors).length;
        const below = Template.location(filled.pieces);
        return {
          ...filled,
          complete,
          location: complete && filled.place === "sas" ? below : null,
          path: complete ? `${filled.place === "sas" ? data.places.sas : data.places.software}/${below}` : null,
          url: complete && filled.place === "sas" ? url + Template.quoted(Template.location(filled.pieces, { tagged: true })) : null,
        };
      } catch (error) {
        return { pieces: [], errors: [error.message], complete: false, location: null, path: null, url: null };
      }
    });
    return { ...places[0], further: places.slice(1), values, origins, wrong: errors, missing, worked, used, required };
  }

  return { data, releases, products, byName, search, plan, resolve };
})();
