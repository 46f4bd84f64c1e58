// Requests to the server.

// The token follows the #, which browsers never send. It does not stay in the address either.
let token = location.hash.slice(1) || sessionStorage.getItem("token") || "";
if (location.hash) history.replaceState(null, "", location.pathname);

export class Problem extends Error {
	constructor(status, text) {
		super(text);
		this.status = status;
	}
}

export function hasToken() {
	return token !== "";
}

export function setToken(text) {
	token = text;
}

export function keepToken() {
	sessionStorage.setItem("token", token);
}

export function forgetToken() {
	token = "";
	sessionStorage.removeItem("token");
}

export async function ask(path, options = {}) {
	const headers = { Authorization: `Bearer ${token}`, ...options.headers };
	const response = await fetch(path, { ...options, headers });
	if (response.ok) return response;
	let text = response.statusText;
	try {
		text = (await response.json()).problem || text;
	} catch { /* The response is from a proxy. */ }
	throw new Problem(response.status, text);
}

export async function post(path, body) {
	const headers = { "Content-Type": "application/json" };
	return (await ask(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

// EventSource cannot send the token in a header, so the events are read here.
export async function events(path, signal, handlers) {
	const response = await ask(path, { signal });
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return;
		const parts = (rest + value).split("\n\n");
		rest = parts.pop();
		for (const part of parts) {
			const found = /^event: (\w+)\ndata: (.*)$/.exec(part);
			if (found) handlers[found[1]]?.(JSON.parse(found[2]));
		}
	}
}

// A link cannot send the token either, so the file is fetched first.
export async function download(path, name) {
	const url = URL.createObjectURL(await (await ask(path)).blob());
	const link = document.createElement("a");
	link.href = url;
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
