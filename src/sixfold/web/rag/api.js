// The service over HTTP: requests, and its errors as one sentence that says what to do.

/** What went wrong with a request; `status` is 0 if there was no answer at all. */
export class Failure extends Error {
  constructor(status, message, retryAfter_s = null) {
    super(message);
    this.status = status;
    this.retryAfter_s = retryAfter_s;
  }
}

/** The response, once its status says that it is one. Throws Failure, or AbortError if `signal` was. */
export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "no connection");
  }
  if (!response.ok) throw await failureOf(response);
  return response;
}

export const getJson = async (path, signal) => (await request(path, { signal })).json();

export function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return request(path, { method: "POST", headers, body: JSON.stringify(body), signal });
}

async function failureOf(response) {
  let message = "";
  try {
    message = String((await response.json()).error.message);
  } catch {
    // A proxy in between answers in its own shape.
  }
  const retryAfter_s = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return new Failure(response.status, message, Number.isFinite(retryAfter_s) ? Math.max(0, retryAfter_s) : null);
}

/** One sentence for a person. */
export function inWords(failure) {
  const said = sentence(failure.message);
  switch (failure.status) {
    case 0:
      return "The service does not answer: see whether it still runs, then try again.";
    case 400:
    case 422:
      return `The request was not understood${said}: change it and ask again.`;
    case 401:
    case 403:
      return `The service refuses this page${said}: open it at the address that the service printed.`;
    case 404:
      return `That is not there${said}.`;
    case 413:
      return "That is too long: shorten it and ask again.";
    case 429:
    case 503:
      return `The service is busy${said.replace(/; try again in \d+ s/, "")}.`; // it is counted down beside
    default:
      return failure.status < 600
        ? `The service failed${said}: try again, and look into its log if that does not help.`
        : `${failure.message}`;
  }
}

/** A detail in brackets, without its full stop. */
function sentence(message) {
  const text = message.trim().replace(/\.$/, "");
  return text ? ` (${text})` : "";
}
