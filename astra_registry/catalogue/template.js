"use strict";
// Path templates in the browser: the tree's notation, as astra_registry/paths/template.py and derived.py have it.
// Parameters that are integers come as BigInt, everything else as text.

const Template = (() => {
  const integer = (value) => {
    if (typeof value === "bigint") return value;
    if (!/^\s*[+-]?\d+\s*$/.test(value)) throw new Error(`'${value}' is no integer`);
    return BigInt(value);
  };
  const over = (value, divisor) => {  // rounds down, as Python's //
    const n = integer(value), quotient = n / divisor;
    return n % divisor < 0n ? quotient - 1n : quotient;
  };
  const modulo = (n, divisor) => ((n % divisor) + divisor) % divisor;
  const padded = (value, width, fill = "0") => String(value).padStart(width, fill);

  // ---------------------------------------------------------------- derived gaps, as in derived.py

  const LEGACY = ["26", "103", "104"];
  const WITH_P = ["v6_0_1", "v6_0_2", "v6_0_3", "v6_0_4"];
  const isLegacy = (run) => run.includes("v5") || LEGACY.includes(run);
  const isFlat = (run) => isLegacy(run) || run.includes("v6_0") || run.includes("v6_1");
  const isNumeric = (text) => /^\d+$/.test(text);
  const groups = (id) => `${padded(modulo(over(id, 100n), 100n), 2)}/${padded(modulo(integer(id), 100n), 2)}`;

  const PREFIXES = { apo25m: "ap", apo1m: "ap", lco25m: "as", "apogee-n": "ap", "apogee-s": "as" };
  const INSTRUMENTS = { apo25m: "apogee-n", apo1m: "apogee-n", lco25m: "apogee-s" };
  const instrumentAt = (telescope) => {
    if (!(telescope in INSTRUMENTS)) throw new Error("telescope takes apo25m, apo1m or lco25m");
    return INSTRUMENTS[telescope];
  };

  const EPOCH_SPECTRA = ["speclite_epoch", "specfull_epoch", "spallfield_epoch", "spalllinefield_epoch"];
  const EPOCH_SUMMARIES = ["fieldlist_epoch", "spall_epoch", "spall-lite_epoch", "spallline_epoch"];
  const DAILY_SPECTRA = ["speclite", "specfull", "spallfield", "spalllinefield"];
  const DAILY_SUMMARIES = ["conflist", "fieldlist", "spall", "spall-lite", "spallline"];
  const COADD_SUMMARIES = ["spall_coadd", "spall-lite_coadd", "spallline_coadd"];
  const COADD_SPECTRA = ["speclite_coadd", "specfull_coadd", "spallfield_coadd", "spalllinefield_coadd"];

  const piece = (ftype, num, digits, mark = "-") => {
    const kind = ftype === undefined ? "fits" : ftype.toLowerCase();
    if (kind !== "fits" && kind !== "parquet") throw new Error("ftype takes fits or parquet");
    if (kind === "parquet") return "";
    if (num === undefined) throw new Error("num is needed for FITS files (0 for one that is not split)");
    return integer(num) > 0n ? `${mark}${padded(integer(num), digits)}` : "";
  };
  const ofPieces = (digits) => ({
    reads: [], optional: ["ftype", "num"], make: (name, ftype, num) => piece(ftype, num, digits),
  });

  const GAPS = {
    plateid6: {
      reads: ["plateid"],
      make: (name, plate) => padded(integer(plate), integer(plate) < 10000n ? 6 : 0),
    },
    platedir: { reads: ["plateid"], make: (name, plate) => `${padded(over(plate, 100n), 4)}XX/${padded(integer(plate), 6)}` },
    plategrp: {
      reads: ["plate"], optional: ["plateid"],
      make: (name, plate) => (plate ? `${padded(over(plate, 100n), 4)}XX` : "XX"),
    },
    definitiondir: { reads: ["designid"], make: (name, design) => `${padded(over(design, 100n), 4)}XX` },
    healpixgrp: { reads: ["healpix"], make: (name, healpix) => String(over(healpix, 1000n)) },
    cat_id_groups: { reads: ["cat_id"], optional: ["catid"], make: (name, id) => groups(id) },
    sdss_id_groups: { reads: ["sdss_id"], make: (name, id) => groups(id) },
    configgrp: { reads: ["configid"], make: (name, id) => `${padded(over(id, 100n), 4)}XX` },
    configsubmodule: { reads: ["configid"], make: (name, id) => `${padded(over(id, 1000n), 3)}XXX` },
    tilegrp: { reads: ["tileid"], make: (name, id) => `${padded(over(id, 1000n), 4)}XX` },
    apgprefix: {
      reads: [], optional: ["telescope", "instrument"],
      make: (name, telescope, instrument) => {
        if (telescope !== undefined) return PREFIXES[instrumentAt(telescope)];
        if (instrument === undefined) throw new Error("telescope or instrument is needed");
        if (!["apogee-n", "apogee-s"].includes(instrument)) throw new Error("instrument takes apogee-n or apogee-s");
        return PREFIXES[instrument];
      },
    },
    apginst: { reads: ["telescope"], make: (name, telescope) => instrumentAt(telescope) },
    spectrodir: {
      reads: ["run2d"], roots: true,
      make: (name, run) => (LEGACY.includes(String(run)) ? "SPECTRO_REDUX" : "BOSS_SPECTRO_REDUX"),
    },
    isplate: { reads: ["run2d"], make: (name, run) => (WITH_P.includes(run) ? "p" : "") },
    pad_fieldid: {
      reads: ["fieldid", "run2d"],
      make: (name, field, run) =>
        isNumeric(String(field)) && !WITH_P.includes(run) ? padded(field, 6) : String(field),
    },
    fieldgrp: {
      reads: ["fieldid", "run2d"],
      make: (name, field, run) => {
        if (!field || isFlat(String(run))) return "";
        return isNumeric(String(field)) ? `${padded(over(String(field), 1000n), 3)}XXX` : String(field);
      },
    },
    sptypefolder: {
      reads: ["run2d"],
      make: (name, given) => {
        const run = String(given), kind = name.toLowerCase();
        if (isLegacy(run)) return "";
        if (run.includes("v6_0") || run.includes("v6_1")) {
          if (EPOCH_SPECTRA.includes(kind)) return "epoch/spectra";
          return kind.includes("epoch") ? "epoch" : "";
        }
        if (EPOCH_SUMMARIES.includes(kind)) return "summary/epoch";
        if (EPOCH_SPECTRA.includes(kind)) return "spectra/epoch";
        if (DAILY_SUMMARIES.includes(kind)) return "summary/daily";
        return DAILY_SPECTRA.includes(kind) ? "daily" : "fields";
      },
    },
    epochflag: { reads: ["run2d"], make: (name, run) => (isFlat(String(run)) ? "" : "-epoch") },
    spcoaddfolder: {
      reads: ["run2d", "coadd"],
      make: (name, run, coadd) => {
        if (isFlat(String(run))) return "";
        const kind = name.toLowerCase();
        if (COADD_SUMMARIES.includes(kind)) return "summary";
        return COADD_SPECTRA.includes(kind) ? String(coadd) : "fields";
      },
    },
    spcoaddgrp: { reads: ["run2d", "coadd"], make: (name, run, coadd) => (isFlat(String(run)) ? "" : String(coadd)) },
    spcoaddobs: {
      reads: ["run2d"], optional: ["obs"],
      make: (name, given, obs) => {
        if (!obs) return "";
        const run = String(given), observatory = String(obs).toLowerCase();
        const early = run.includes("v6_0") || run.includes("v6_1");
        if (!isLegacy(run) && early && observatory === "apo") return "";
        return `_${observatory}`;
      },
    },
    mos_target_num: ofPieces(1),
    mos_target_num2: ofPieces(2),
    mos_target_num3: ofPieces(3),
    mos_target_num_underscore: {
      reads: [], optional: ["num", "ftype"],
      make: (name, num, ftype) => piece(ftype, num === undefined ? 1n : num, 1, "_"),
    },
    component_default: { reads: [], optional: ["component"], make: (name, component) => component ?? "" },
  };

  // ---------------------------------------------------------------- the notation

  const TOKEN = /\{([^{}:]*)(?::([^{}]*))?\}|@(\w+)\|/g;

  /** Return the tokens of a template as it is written: {literal} | {key, spec} | {gap}, each with its `text`. */
  function tokens(text) {
    const found = [];
    let end = 0;
    for (const token of text.matchAll(TOKEN)) {
      if (token.index > end) found.push({ literal: text.slice(end, token.index), text: text.slice(end, token.index) });
      // The tree has one typo, {dib_model | None}: that key is dib_model.
      if (token[3]) found.push({ gap: token[3], text: token[0] });
      else found.push({ key: token[1].split("|")[0].trim(), spec: token[2] ?? "", text: token[0] });
      end = token.index + token[0].length;
    }
    if (end < text.length) found.push({ literal: text.slice(end), text: text.slice(end) });
    return found;
  }

  /** Return the parameters that a template needs, and those that it takes besides. */
  function keysOf(text) {
    const needed = new Set(), optional = new Set();
    for (const token of tokens(text)) {
      if (token.key) needed.add(token.key);
      if (token.gap) {
        GAPS[token.gap]?.reads.forEach((key) => needed.add(key));
        GAPS[token.gap]?.optional?.forEach((key) => optional.add(key));
      }
    }
    return { needed: [...needed], optional: [...optional].filter((key) => !needed.has(key)) };
  }

  /** Return the parts of a template with its root in place: neighbouring gaps joined, folders that may be empty marked. */
  function parse(text, roots) {
    const root = (variable) => {
      if (!(variable in roots)) throw new Error(`the release defines no root $${variable}: the template gives no path`);
      return roots[variable];
    };
    const parts = tokens(text.trim()).map((token) => {
      if (token.gap) return { gaps: [token.gap], roots: Boolean(GAPS[token.gap]?.roots) };
      return token.key ? { key: token.key, spec: token.spec } : { literal: token.literal };
    });
    let place = "sas";
    if (parts[0]?.literal !== undefined) {
      const variable = /^\$(\w+)/.exec(parts[0].literal);
      if (!variable) throw new Error("the template begins with no root");
      const found = root(variable[1]);
      place = found.place;
      parts[0] = { literal: found.folder + parts[0].literal.slice(variable[0].length), root: variable[1] };
      if (place === "sas") parts[0].literal = parts[0].literal.replace(/^\/+/, "");
    }
    const joined = [];
    for (const part of parts) {
      const last = joined.at(-1);
      if (part.gaps && last?.gaps && !last.roots) last.gaps = [...last.gaps, ...part.gaps];
      else joined.push(part);
    }
    let atStart = true;  // of a folder's name
    joined.forEach((part, i) => {
      if (part.literal !== undefined) {
        part.literal = part.literal.replace(/\/+/g, "/");
        atStart = part.literal.endsWith("/") || (atStart && !part.literal);
        return;
      }
      const after = joined[i + 1];
      const whole = part.gaps && !part.roots && atStart;
      atStart = false;
      if (whole && after?.literal?.startsWith("/")) {
        part.whole = true;
        after.literal = after.literal.slice(1);
        atStart = true;
      }
    });
    return { place, parts: joined, root };
  }

  /** Return a value as a field shows it, in the formats that the tree uses: `0>6`, `0>2d`, `d`, `.4`, `0.3`. */
  function formatted(value, spec) {
    if (!spec) return String(value);
    const found = /^(?:(.)?([<>^]))?(0)?(\d*)(?:\.(\d+))?([ds])?$/.exec(spec);
    if (!found) throw new Error(`the format '${spec}' is not known to this page`);
    const [, fill = " ", align, zero, width, precision, kind] = found;
    let text = String(value);
    if (kind === "d") text = String(integer(value));
    if (precision) {
      if (typeof value === "bigint") throw new Error("it takes text");
      text = text.slice(0, Number(precision));
    }
    const space = (zero ? Number(`${zero}${width}`) : Number(width)) || 0;
    const filler = align ? fill : zero ? "0" : " ";
    const isNumber = typeof value === "bigint" || kind === "d";
    if ((align ?? (isNumber ? ">" : "<")) === ">") return text.padStart(space, filler);
    return text.padEnd(space, filler);
  }

  /**
   * Return the pieces of the path that a template gives: {text, from: [keys], missing}, and what is wrong.
   * A gap whose values are not all known shows its own notation, and is `missing`.
   */
  function fill(text, name, roots, values) {
    const { place, parts, root } = parse(text, roots);
    const errors = [];
    const pieces = parts.map((part) => {
      if (part.literal !== undefined) return { text: part.literal, from: [], root: part.root };
      const gaps = part.gaps ?? [];
      const reads = part.key ? [part.key] : gaps.flatMap((gap) => GAPS[gap]?.reads ?? []);
      const optional = gaps.flatMap((gap) => GAPS[gap]?.optional ?? []);
      const from = [...new Set([...reads, ...optional])];
      const notation = part.key ? `{${part.key}}` : gaps.map((gap) => `@${gap}|`).join("");
      const unknown = gaps.some((gap) => !GAPS[gap]);
      if (unknown || reads.some((key) => values[key] === undefined)) {
        return { text: notation + (part.whole ? "/" : ""), from, missing: true, unknown, derived: !part.key };
      }
      try {
        if (part.key) return { text: formatted(values[part.key], part.spec), from };
        let made = gaps
          .map((gap) => GAPS[gap].make(name, ...[...GAPS[gap].reads, ...(GAPS[gap].optional ?? [])].map((k) => values[k])))
          .join("");
        if (part.roots) made = root(made).folder;
        return { text: part.whole && made ? `${made}/` : made, from, derived: true };
      } catch (error) {
        if (from.every((key) => values[key] === undefined)) return { text: notation, from, missing: true, derived: true };
        errors.push(`${from.filter((key) => values[key] !== undefined).join(", ")}: ${error.message}`);
        return { text: notation, from, missing: true, derived: !part.key };
      }
    });
    return { place, pieces, errors };
  }

  /** Return the location relative to its place; sdss_access leaves the folder tags/ out of local paths. */
  function location(pieces, { tagged = false } = {}) {
    const text = pieces.map((piece) => piece.text).join("").replace(/\/+$/, "");
    return tagged ? text : text.replace(/tags\/(v?[0-9._]+)/, "$1");
  }

  /** Return a location as a URL holds it: the same characters quoted as Python's quote(safe="/-._~!$&'()*+,;=:@"). */
  function quoted(text) {
    return text.split("/").map((segment) => encodeURIComponent(segment).replace(/%(24|26|2B|2C|3B|3D|3A|40)/g, decodeURIComponent)).join("/");
  }

  /** Return why a value cannot be one of a parameter's, or null; and its converted form. */
  function converted(text, { type, choices, subpath }) {
    const value = text.replace(/^ +| +$/g, "");
    if (type === "int") {
      if (!/^[+-]?[0-9]+$/.test(value)) return { error: "it takes an integer" };
      const number = BigInt(value);
      if (choices && !choices.some((choice) => String(choice) === String(number))) {
        return { error: `it takes ${choices.join(", ")}` };
      }
      return { value: number };
    }
    if (/[\x00-\x1f\x7f-\x9f\u2028\u2029]/.test(value)) return { error: "it holds a control character" };
    if (value.includes("..") || value === ".") return { error: "it may not leave its folder ('.', '..')" };
    if (value.includes("/") && (!subpath || /^\/|\/$|\/\//.test(value))) return { error: "it may not hold '/'" };
    if (choices && !choices.includes(value)) return { error: `it takes ${choices.join(", ")}` };
    return { value };
  }

  return { GAPS, tokens, keysOf, parse, formatted, fill, location, quoted, converted };
})();
