// The API page: every route of /openapi.json with its parameters, the fields of its body and what it answers.

import { byId, h } from "./shared/dom.js";

const spec = await (await fetch("/openapi.json")).json();

/** The schema behind a $ref, or the schema itself. */
function resolved(schema) {
  if (!schema?.$ref) return schema ?? {};
  return spec.components.schemas[schema.$ref.split("/").pop()] ?? {};
}

/** A schema's type in words. */
function inWords(schema) {
  if (schema?.$ref) return schema.$ref.split("/").pop();
  if (schema?.anyOf) return schema.anyOf.map(inWords).join(" or ");
  if (schema?.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema && "const" in schema) return JSON.stringify(schema.const);
  if (schema?.type === "array") return `list of ${inWords(schema.items)}`;
  return schema?.type === "null" ? "nothing" : (schema?.type ?? "anything");
}

/** Its bounds, as far as it has any. */
function bounds(schema) {
  const told = { minimum: "at least", maximum: "at most", minLength: "at least", maxLength: "at most" };
  const unit = (key) => (key.endsWith("Length") ? " characters" : "");
  const parts = [schema, ...(schema?.anyOf ?? [])];
  const found = parts.flatMap((part) => Object.keys(told).filter((key) => key in part).map((key) => `${told[key]} ${part[key]}${unit(key)}`));
  if (schema?.default !== undefined && schema.default !== null) found.push(`default ${JSON.stringify(schema.default)}`);
  return found.join(", ");
}

function table(caption, rows) {
  if (!rows.length) return null;
  const cells = rows.map(([name, schema, required]) =>
    h("tr", {}, h("th", { scope: "row" }, h("code", {}, name)), h("td", {}, inWords(schema)),
      h("td", {}, [required ? "required" : "", bounds(schema)].filter(Boolean).join("; "))));
  return h("table", { class: "facts" }, h("caption", { class: "unseen" }, caption), h("tbody", {}, cells));
}

function route(path, method, told) {
  const body = resolved(told.requestBody?.content?.["application/json"]?.schema);
  const fields = Object.entries(body.properties ?? {}).map(([name, schema]) => [name, schema, body.required?.includes(name)]);
  const parameters = (told.parameters ?? []).map((at) => [at.name, at.schema, at.required]);
  return h("section", { class: "route" },
    h("h2", {}, h("code", {}, `${method.toUpperCase()} ${path}`)),
    h("p", {}, told.description ?? ""),
    table(`Parameters of ${path}`, parameters),
    table(`Fields of the body of ${path}`, fields));
}

byId("about").textContent = `${spec.info.description} Version ${spec.info.version}; errors have OpenAI's shape.`;
byId("routes").replaceChildren(
  ...Object.entries(spec.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, told]) => route(path, method, told))));
