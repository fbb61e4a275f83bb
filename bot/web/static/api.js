// The console's API. Errors arrive as `ApiError` with a sentence that can be shown.

export class ApiError extends Error {
  constructor(message, { status = 0, errorId = null } = {}) {
    super(message);
    this.status = status;
    this.errorId = errorId;
  }
}

async function request(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new ApiError("promptai cannot be reached. Is it still running? Your question is kept here.");
  }
  const data = await response.json().catch(() => ({}));
  if (response.ok) return data;
  const error = data.error ?? {};
  throw new ApiError(error.message ?? `The server answered ${response.status}. Try again in a moment.`, {
    status: response.status,
    errorId: error.error_id ?? null,
  });
}

const part = encodeURIComponent;

export const start = () => request("GET", "/api/start");
export const ask = (conversation, text, message) => request("POST", "/api/questions", { conversation, text, message });
export const exchanges = (conversation) => request("GET", `/api/conversations/${part(conversation)}`);
export const vote = (replyId, conversation, value) =>
  request("PUT", `/api/answers/${part(replyId)}/vote`, { conversation, vote: value });
export const openDocument = (passageId) => request("GET", `/api/documents/${part(passageId)}`);

/**
 * Follow a question's event stream. The browser connects again by itself; the server then sends the state so far.
 * `on` holds status, draft, passages, text, answer, apology, reconnecting, lost. Returns a function that stops.
 */
export function follow(questionId, conversation, on) {
  const source = new EventSource(`/api/questions/${part(questionId)}/events?conversation=${part(conversation)}`);
  const stop = () => source.close();
  for (const name of ["status", "draft", "passages", "text"])
    source.addEventListener(name, (event) => on[name](JSON.parse(event.data)));
  for (const name of ["answer", "apology"])
    source.addEventListener(name, (event) => {
      stop();
      on[name](JSON.parse(event.data));
    });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) on.lost();
    else on.reconnecting();
  });
  return stop;
}
