// The dashboard of a server. What comes from clients is only ever put into text nodes.
"use strict";

const SAMPLES = 240;
const MAX_LINES = 500;
const RETRY = 2000;

const $ = (id) => document.getElementById(id);

// The token comes behind the #, which is never sent; it does not stay in the address either.
let token = location.hash.slice(1) || sessionStorage.getItem("token") || "";
if (location.hash) history.replaceState(null, "", location.pathname);

let last = null;
let listening = null;
let watching = null;
const before = new Map();
const rows = new Map();
const samples = [];


// Asking the server

class Problem extends Error {
	constructor(status, text) {
		super(text);
		this.status = status;
	}
}

async function ask(path, options = {}) {
	const headers = { Authorization: `Bearer ${token}`, ...options.headers };
	const response = await fetch(path, { ...options, headers });
	if (response.ok) return response;
	let text = response.statusText;
	try {
		text = (await response.json()).problem || text;
	} catch { /* It did not come from the dashboard itself. */ }
	throw new Problem(response.status, text);
}

async function post(path, body) {
	const headers = { "Content-Type": "application/json" };
	return (await ask(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

// EventSource cannot send the token in a header, so the events are read here.
async function events(path, signal, handlers) {
	const response = await ask(path, { signal });
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return;
		const pieces = (rest + value).split("\n\n");
		rest = pieces.pop();
		for (const piece of pieces) {
			const found = /^event: (\w+)\ndata: (.*)$/.exec(piece);
			if (found) handlers[found[1]]?.(JSON.parse(found[2]));
		}
	}
}


// How things are written

const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

function bytes(count) {
	for (const unit of ["B", "KiB", "MiB", "GiB"]) {
		if (count < 1024 || unit === "GiB") return `${numbers.format(count)} ${unit}`;
		count /= 1024;
	}
}

function span(seconds) {
	const whole = Math.max(0, Math.floor(seconds));
	const two = (number) => String(number).padStart(2, "0");
	const clock = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
	return whole < 3600 ? clock : `${Math.floor(whole / 3600)}:${clock}`;
}

function element(name, text, className) {
	const made = document.createElement(name);
	if (text !== undefined) made.textContent = text;
	if (className) made.className = className;
	return made;
}

function say(text, className = "") {
	$("status").textContent = text;
	$("status").className = className;
}


// The state

function rate(now, then, seconds) {
	// After a restart of the server it begins anew.
	return seconds > 0 ? Math.max(0, now - then) / seconds : 0;
}

function state(now) {
	say(now.missed ? `connected; ${now.missed} missed` : "connected", "up");
	$("login").hidden = true;
	$("main").hidden = false;
	const seconds = last ? now.time - last.time : 0;
	const sample = (name) => [0, 1].map((way) =>
		now[name] && last?.[name] ? rate(now[name][way], last[name][way], seconds) : 0);
	// The first state is only what the next is compared with.
	if (last) samples.push({ messages: sample("messages"), bytes: sample("bytes") });
	samples.splice(0, samples.length - SAMPLES);
	if (!now.messages && !$("bytes").checked) {
		$("bytes").checked = true;
		$("bytes").parentElement.hidden = true;
	}
	$("clients").textContent = numbers.format(now.connected);
	$("waiting").textContent = bytes(now.waiting);
	$("refused").textContent = numbers.format(now.refused);
	show("cut", now.cut);
	$("cut").textContent = numbers.format(now.cut);
	$("speak").hidden = !now.speaks;
	$("recording").hidden = !now.recording;
	$("found").textContent = now.found > now.clients.length ? `${now.clients.length} of ${now.found}` : "";
	clients(now.clients, seconds);
	workers(now.workers);
	rooms(now.rooms);
	broker(now.broker);
	last = now;
	draw();
}

function clients(shown, seconds) {
	const ids = new Set(shown.map((client) => client.id));
	for (const [id, row] of rows) {
		if (ids.has(id)) continue;
		row.remove();
		rows.delete(id);
		before.delete(id);
	}
	for (const client of shown) {
		const row = rows.get(client.id) || newRow(client);
		const total = client.bytesIn + client.bytesOut;
		const texts = [
			client.address,
			client.kind,
			client.room === null ? "" : `${client.room} \u2013 ${client.name}`,
			span(client.age),
			bytes(client.bytesIn),
			bytes(client.bytesOut),
			bytes(rate(total, before.get(client.id) ?? total, seconds)),
			client.waiting ? bytes(client.waiting) : "",
		];
		texts.forEach((text, column) => {
			const cell = row.cells[column];
			if (cell.textContent !== text) cell.textContent = text;
		});
		before.set(client.id, total);
	}
}

function newRow(client) {
	// The newest comes first, and so do those that are new here.
	const next = [...rows.keys()].filter((id) => id < client.id);
	const place = next.length ? rows.get(Math.max(...next)) : null;
	const row = element("tr");
	row.dataset.id = client.id;
	for (let column = 0; column < 9; column += 1) row.append(element("td"));
	const listen = element("button", "Listen", "listen");
	listen.addEventListener("click", () => hear(client.id, client.address));
	const kick = element("button", "Disconnect", "kick");
	kick.addEventListener("click", () => sure(kick, () => post("kick", { id: client.id })));
	row.lastChild.append(listen, kick);
	$("table").insertBefore(row, place);
	rows.set(client.id, row);
	return row;
}

// What cannot be undone takes two clicks.
function sure(button, act) {
	if (button.classList.contains("sure")) {
		act().catch((problem) => say(problem.message, "bad"));
		return;
	}
	const text = button.textContent;
	button.textContent = "Sure?";
	button.classList.add("sure");
	setTimeout(() => {
		button.textContent = text;
		button.classList.remove("sure");
	}, 3000);
}

function show(className, present) {
	for (const each of document.getElementsByClassName(className)) each.hidden = !present;
}

function workers(now) {
	show("workers", now);
	if (!now) return;
	$("workers").textContent = now.up === now.count ? numbers.format(now.up) : `${now.up} of ${now.count}`;
	$("workers").className = now.up === now.count ? "" : "bad";
}

function rooms(now) {
	show("rooms", now);
	if (!now) return;
	$("rooms").textContent = numbers.format(now.rooms);
	$("roomlist").replaceChildren(...now.shown.map(([name, members]) => element("li", `${name} \u00b7 ${members}`)));
}

function broker(now) {
	show("broker", now);
	if (!now) return;
	$("broker").textContent = now.state;
	$("broker").className = now.state === "up" ? "" : "bad";
	show("missed", now.missed);
	$("missed").textContent = numbers.format(now.missed);
	const parts = Object.entries(now).filter(([, value]) => value !== "");
	$("brokerlist").replaceChildren(...parts.flatMap(([name, value]) =>
		[element("dt", name), element("dd", typeof value === "number" ? numbers.format(value) : value)]));
}


// The chart

function draw() {
	const inBytes = $("bytes").checked;
	const name = inBytes ? "bytes" : "messages";
	const text = inBytes ? bytes : (count) => numbers.format(count);
	const canvas = $("chart");
	const scale = window.devicePixelRatio || 1;
	const width = canvas.clientWidth, height = canvas.clientHeight;
	canvas.width = width * scale;
	canvas.height = height * scale;
	const pen = canvas.getContext("2d");
	pen.scale(scale, scale);
	const colour = (property) => getComputedStyle(document.documentElement).getPropertyValue(property);
	const most = Math.max(1, ...samples.flatMap((sample) => sample[name]));
	const at = (value) => height - 4 - (height - 20) * value / most;
	pen.strokeStyle = colour("--line");
	pen.lineWidth = 1;
	for (const value of [0, most / 2, most]) {
		pen.beginPath();
		pen.moveTo(0, at(value));
		pen.lineTo(width, at(value));
		pen.stroke();
	}
	["--in", "--out"].forEach((property, way) => {
		pen.strokeStyle = colour(property);
		pen.lineWidth = 1.75;
		pen.beginPath();
		samples.forEach((sample, number) => {
			const x = width - (samples.length - 1 - number) * width / (SAMPLES - 1);
			pen.lineTo(x, at(sample[name][way]));
		});
		pen.stroke();
	});
	pen.fillStyle = colour("--soft");
	pen.font = "12px system-ui, sans-serif";
	pen.fillText(text(most), 2, 12);
	$("unit").textContent = inBytes ? "Bytes per second" : "Messages per second";
	const [received, sent] = samples.length ? samples[samples.length - 1][name] : [0, 0];
	$("in").textContent = `${text(received)}/s`;
	$("out").textContent = `${text(sent)}/s`;
}


// The messages of one client

function line(className, ...texts) {
	const list = $("messages");
	const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
	const item = element("li", undefined, className);
	item.append(element("time", new Date().toLocaleTimeString()), ...texts);
	list.append(item);
	while (list.children.length > MAX_LINES) list.firstChild.remove();
	if (atEnd) list.scrollTop = list.scrollHeight;
}

function note(text) {
	line("note", element("span", text));
}

function hear(id, address) {
	quiet();
	$("listening").hidden = false;
	$("whose").textContent = address;
	$("messages").replaceChildren();
	rows.get(id)?.classList.add("heard");
	const abort = new AbortController();
	listening = { id, abort };
	const handlers = {
		begin: () => note("listening"),
		messages: ({ messages, missed }) => {
			for (const { way, text, length } of messages) {
				const cut = length > text.length ? `${text}\u2026 (${length} characters)` : text;
				line(way, element("b", way === "in" ? "\u2192" : "\u2190", `way-${way}`), element("span", cut));
			}
			if (missed) note(`${missed} messages were not shown`);
		},
		gone: () => note("the client has disconnected"),
		problem: ({ problem }) => note(problem),
	};
	events(`messages/${id}`, abort.signal, handlers).catch((problem) => {
		if (!abort.signal.aborted) note(problem.message);
	});
}

function quiet() {
	if (!listening) return;
	listening.abort.abort();
	rows.get(listening.id)?.classList.remove("heard");
	listening = null;
	$("listening").hidden = true;
}


// The whole

function login(text) {
	say(text, "bad");
	$("main").hidden = true;
	$("login").hidden = false;
	$("token").focus();
}

async function watch() {
	watching?.abort();
	const mine = watching = new AbortController();
	while (!mine.signal.aborted) {
		if (!token) {
			login("enter the access token");
			return;
		}
		try {
			const find = encodeURIComponent($("find").value);
			await events(`state?find=${find}`, mine.signal, { begin: () => sessionStorage.setItem("token", token), state });
			say("the server has shut down", "bad");
		} catch (problem) {
			if (mine.signal.aborted) return;
			if (problem.status === 401) {
				token = "";
				sessionStorage.removeItem("token");
				login(problem.message);
				return;
			}
			say(problem instanceof Problem ? problem.message : "the server cannot be reached", "bad");
		}
		await new Promise((resolve) => setTimeout(resolve, RETRY));
	}
}

$("login").addEventListener("submit", (event) => {
	event.preventDefault();
	token = $("token").value.trim();
	$("token").value = "";
	watch();
});
$("say").addEventListener("submit", (event) => {
	event.preventDefault();
	post("say", { text: $("text").value }).then(
		({ hearers }) => {
			$("said").textContent = `sent to ${hearers}`;
			$("text").value = "";
		},
		(problem) => { $("said").textContent = problem.message; },
	);
});
let typing = 0;
$("find").addEventListener("input", () => {
	clearTimeout(typing);
	typing = setTimeout(watch, 300);
});
$("stop").addEventListener("click", quiet);
$("bytes").addEventListener("change", draw);
addEventListener("resize", draw);
document.title = `Dashboard ${location.host}`;
watch();
