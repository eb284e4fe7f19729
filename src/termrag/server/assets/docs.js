// Draws openapi.json: everything shown comes from it.
"use strict";

const element = (name, content, className) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  for (const each of [content].flat()) if (each !== undefined && each !== "") made.append(each);
  return made;
};

const named = (schema) => (schema.$ref || "").split("/").pop();

const kind = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return named(schema);
  if (schema.anyOf) return schema.anyOf.map(kind).join(" or ");
  if (schema.type === "array") return `list of ${kind(schema.items || {}) || "anything"}`;
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  return schema.const !== undefined ? JSON.stringify(schema.const) : schema.type || "anything";
};

const limits = (schema) => {
  const names = { minimum: "≥", maximum: "≤", minLength: "length ≥", maxLength: "length ≤", maxItems: "at most" };
  return Object.entries(names).filter(([key]) => schema[key] !== undefined).map(([key, sign]) => `${sign} ${schema[key]}`).join(", ");
};

const fields = (schema) => {
  const rows = Object.entries(schema.properties || {}).map(([name, value]) => {
    const start = value.default !== undefined && value.default !== null ? `= ${JSON.stringify(value.default)}` : "";
    const must = (schema.required || []).includes(name) ? "required" : start;
    return element("tr", [element("td", element("code", name)), element("td", kind(value)), element("td", must), element("td", limits(value))]);
  });
  return rows.length ? element("table", rows) : element("p", "nothing");
};

const draw = (api, schema, title) => {
  const whole = schema.$ref ? api.components.schemas[named(schema)] : schema;
  return [element("h4", `${title}: ${kind(schema) || "file"}`), whole && whole.description ? element("p", whole.description) : "", whole ? fields(whole) : ""];
};

const operation = (api, path, method, each) => {
  const parts = [element("p", each.description || "")];
  for (const parameter of each.parameters || []) {
    parts.push(element("p", [element("code", parameter.name), ` in the ${parameter.in}: ${kind(parameter.schema)} ${limits(parameter.schema)}`]));
  }
  for (const [type, body] of Object.entries((each.requestBody || {}).content || {})) parts.push(...draw(api, body.schema, `Body, ${type}`));
  for (const [status, answer] of Object.entries(each.responses)) {
    for (const [type, body] of Object.entries(answer.content || {})) {
      if (/^\d/.test(status) && body.schema && !status.endsWith("XX")) parts.push(...draw(api, body.schema, `${status}, ${type}`));
    }
  }
  const head = [element("span", method.toUpperCase(), "method"), element("code", path), element("span", each.summary, "what")];
  if (each["x-scope"]) head.push(element("span", each["x-scope"], "scope"));
  const made = element("details", [element("summary", head), ...parts]);
  made.dataset.text = `${method} ${path} ${each.summary} ${each.tags}`.toLowerCase();
  return made;
};

const show = (api) => {
  document.getElementById("version").textContent = api.info.version;
  document.getElementById("about").textContent = api.info.description;
  const tags = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, each] of Object.entries(methods)) {
      const tag = each.tags[0];
      if (!tags.has(tag)) tags.set(tag, []);
      tags.get(tag).push(operation(api, path, method, each));
    }
  }
  const sections = [...tags].map(([tag, all]) => element("section", [element("h2", tag), ...all]));
  document.getElementById("operations").replaceChildren(...sections);
};

document.getElementById("filter").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  for (const each of document.querySelectorAll("details")) each.hidden = !each.dataset.text.includes(wanted);
});

fetch("/openapi.json").then((answer) => answer.json()).then(show).catch((error) => {
  document.getElementById("about").textContent = `The document cannot be read: ${error}`;
});
