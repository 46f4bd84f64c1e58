// The dashboard of a server.

import * as chart from "./chart.js";
import { $, button, bytes, confirmed, element, milliseconds, number, show, span, sync, unconfirm, write } from "./elements.js";
import { Problem, download, events, forgetToken, hasToken, keepToken, post, setToken } from "./server.js";

const MAX_LINES = 500;
const RETRY = 2000;

const COLUMNS = [
	{ name: "address", head: "address", text: (client) => client.address },
	{ name: "kind", head: "type", text: (client) => client.kind },
	{ name: "room", head: "room", text: ({ room, name }) => (room === null ? "" : `${room} \u2013 ${name}`) },
	{ name: "age", head: "since", text: (client) => span(client.age) },
	{ name: "bytesIn", head: "in", text: (client) => bytes(client.bytesIn) },
	{ name: "bytesOut", head: "out", text: (client) => bytes(client.bytesOut) },
	{ name: "rate", head: "bytes/s", text: (client) => bytes(client.rate) },
	{ name: "pingTime", head: "ping", text: ({ pingTime }) => (pingTime == null ? "" : milliseconds(pingTime)) },
	{ name: "waiting", head: "queued", text: ({ waiting }) => (waiting ? bytes(waiting) : "") },
];
// The first click on another column sorts in descending order.
const ASCENDING = new Set(["address", "kind", "room", "age"]);

const REFUSALS = {
	connections: "limit of connections (--max-connections)",
	address: "limit of connections per address (--max-per-address)",
	rate: "limit of connections per second of an address (--connection-rate)",
	http: "limit of HTTP connections",
	blocked: "the address is blocked",
	draining: "the server is draining",
	undetected: "limit of undetected clients",
};
const CUTS = {
	queue: "the client did not read (--max-queue)",
	rate: "rate limit (--message-rate, --byte-rate)",
	message: "message too long (--max-message)",
};

let last = null;
let listening = null;
let watching = null;
let blockee = null;
const view = { find: "", sort: "age", order: "asc", room: "" };
// The bytes of each client in the previous state.
let before = new Map();

function say(text, className = "") {
	write($("status"), text);
	$("status").className = className;
}

const fail = (problem) => say(problem.message, "bad");


// The state

function rate(now, then, seconds) {
	// The counters of a server that was restarted begin at 0.
	return seconds > 0 ? Math.max(0, now - then) / seconds : 0;
}

function state(now) {
	say(now.missed ? `connected; ${now.missed} missed` : "connected", "up");
	$("login").hidden = true;
	$("main").hidden = false;
	const seconds = last ? now.time - last.time : 0;
	const rates = (name) => [0, 1].map((way) =>
		now[name] && last?.[name] ? rate(now[name][way], last[name][way], seconds) : 0);
	// The first state is only compared with the next one.
	if (last) {
		chart.addLive({
			time: now.time,
			messages: rates("messages"),
			bytes: rates("bytes"),
			clients: [now.connected],
			lag: [now.server.lag],
		});
	}
	if (!now.messages && !$("what").options[0].hidden) {
		$("what").options[0].hidden = true;
		$("what").value = "bytes";
	}
	server(now.server);
	write($("clients"), number(now.connected));
	write($("waiting"), bytes(now.waiting));
	write($("refused"), number(now.refused));
	show("cut", now.cut);
	write($("cut"), number(now.cut));
	$("speak").hidden = !now.speaks;
	$("recording").hidden = !now.recording;
	write($("found"), now.found > now.clients.length ? `${now.clients.length} of ${now.found}` : "");
	clients(now, seconds);
	workers(now.workers);
	rooms(now.rooms);
	room(now.room);
	refusals(now);
	blocks(now.blocked);
	broker(now.broker);
	last = now;
	draw();
}

function server({ name, version, ports, draining, uptime, lag, memory }) {
	const title = [name, ports[0]].filter(Boolean).join(" ");
	write($("title"), title);
	if (document.title !== title) document.title = title;
	$("draining").hidden = !draining;
	const parts = [`openfl-twisted ${version}`, `up ${span(uptime)}`];
	if (ports.length) parts.push(`listening on ${ports.join(", ")}`);
	write($("about"), parts.join(" \u00b7 "));
	write($("lag"), milliseconds(lag));
	show("memory", memory !== null);
	write($("memory"), bytes(memory ?? 0));
}

function draw() {
	chart.draw();
	const inBytes = $("what").value === "bytes" || $("what").options[0].hidden;
	const text = inBytes ? bytes : number;
	const [received, sent] = chart.latest()?.[inBytes ? "bytes" : "messages"] ?? [0, 0];
	write($("in"), `${text(received)}/s`);
	write($("out"), `${text(sent)}/s`);
}

function workers(now) {
	show("workers", now);
	if (!now) return;
	write($("workers"), now.up === now.count ? number(now.up) : `${now.up} of ${now.count}`);
	$("workers").className = now.up === now.count ? "" : "bad";
}

function refusals({ refusals: refused, cuts }) {
	const counted = (event, counts, texts) => Object.entries(counts)
		.map(([reason, count]) => [`${event}: ${texts[reason] ?? reason}`, count])
		.filter(([, count]) => count);
	const shown = [...counted("refused", refused, REFUSALS), ...counted("disconnected", cuts, CUTS)];
	$("refusals").hidden = !shown.length;
	function make([text]) {
		const row = element("tr");
		row.append(element("td", text), element("td"));
		return row;
	}
	sync($("reasons"), shown, ([text]) => text, make, (row, [, count]) => write(row.lastChild, number(count)));
}

function broker(now) {
	show("broker", now);
	if (!now) return;
	write($("broker"), now.state);
	$("broker").className = now.state === "up" ? "" : "bad";
	show("missed", now.missed);
	write($("missed"), number(now.missed));
	const parts = Object.entries(now).filter(([, value]) => value !== "");
	$("brokerlist").replaceChildren(...parts.flatMap(([name, value]) =>
		[element("dt", name), element("dd", typeof value === "number" ? number(value) : value)]));
}


// The clients

function clients({ clients: shown, blocked }, seconds) {
	const totals = new Map();
	for (const client of shown) {
		const total = client.bytesIn + client.bytesOut;
		totals.set(client.id, total);
		client.rate ??= rate(total, before.get(client.id) ?? total, seconds);
	}
	before = totals;
	let ordered = shown;
	if (matchMedia("(hover: hover)").matches && $("table").matches(":hover")) {
		// A row must not move away from the mouse pointer.
		const places = new Map([...$("table").rows].map((row, place) => [row.key, place]));
		const place = (client) => places.get(client.id) ?? places.size;
		ordered = [...shown].sort((one, other) => place(one) - place(other));
	}
	sync($("table"), ordered, (client) => client.id, newRow, (row, client) => {
		COLUMNS.forEach(({ text }, column) => write(row.cells[column], text(client)));
		row.querySelector(".block").hidden = !blocked || !hostOf(client.address);
	});
}

function newRow(client) {
	const row = element("tr");
	row.setAttribute("role", "row");
	for (const { name, head } of [...COLUMNS, { name: "buttons", head: "" }]) {
		const cell = element("td", undefined, name);
		cell.setAttribute("role", "cell");
		cell.dataset.label = head;
		row.append(cell);
	}
	row.classList.toggle("heard", listening?.id === client.id);
	const { id, address } = client;
	row.cells[0].id = `client-${id}`;
	row.lastChild.append(
		button("Listen", "listen", (pressed) => hear(id, address, pressed)),
		button("Disconnect", "kick", (pressed) => confirmed(pressed, () => post("kick", { id }).catch(fail))),
		button("Block", "block", () => openBlocking(hostOf(address))),
	);
	for (const each of row.lastChild.children) each.setAttribute("aria-describedby", `client-${id}`);
	return row;
}

function sortBy(sort) {
	const other = { asc: "desc", desc: "asc" };
	view.order = view.sort === sort ? other[view.order] : ASCENDING.has(sort) ? "asc" : "desc";
	view.sort = sort;
	showSorting();
	watch();
}

function showSorting() {
	$("sort").value = view.sort;
	for (const [place, { name }] of COLUMNS.entries()) {
		const order = view.order === "asc" ? "ascending" : "descending";
		$("heads").cells[place].setAttribute("aria-sort", view.sort === name ? order : "none");
	}
}

for (const { name, head } of COLUMNS) {
	const cell = element("th", undefined, name);
	cell.scope = "col";
	cell.setAttribute("role", "columnheader");
	cell.append(button(head, "", () => sortBy(name)));
	$("heads").append(cell);
	const option = element("option", head);
	option.value = name;
	$("sort").append(option);
}
$("heads").append(element("td"));
$("heads").lastChild.setAttribute("role", "cell");
showSorting();


// The rooms

function rooms(now) {
	show("rooms", now);
	if (!now) return;
	write($("rooms"), number(now.rooms));
	function make([name]) {
		const item = element("li");
		item.append(button("", "", () => openRoom(name)));
		return item;
	}
	sync($("roomlist"), now.shown, ([name]) => name, make, (item, [name, members]) => {
		write(item.firstChild, `${name} \u00b7 ${members}`);
		item.firstChild.setAttribute("aria-expanded", String(view.room === name));
	});
}

function openRoom(name) {
	view.room = view.room === name ? "" : name;
	if (!view.room) $("room").hidden = true;
	// The second click must be for the same room.
	unconfirm($("closeroom"));
	watch();
}

function room(now) {
	$("room").hidden = !now || !view.room;
	if (!now) return;
	write($("roomhead"), now.name);
	write($("roomcount"), now.members.length < now.count ? `${now.members.length} of ${now.count}` : "");
	sync($("members"), now.members, (member) => `${member.client} ${member.name}`, ({ name, client }) => {
		const item = element("li");
		item.append(element("span", name));
		if (client === null) item.append(element("span", "disconnected", "soft"));
		else item.append(button(`client ${client}`, "", (pressed) => hear(client, `client ${client}`, pressed)));
		return item;
	});
}


// The blocked addresses

// Return the address without the zone and the port; null for a UNIX socket.
function hostOf(address) {
	const found = /^(?:\[([0-9a-fA-F:.]+)(?:%[^\]]*)?\]|([0-9.]+)):[0-9]+$/.exec(address);
	return found ? found[1] ?? found[2] : null;
}

function blocks(now) {
	$("blocked").hidden = !now;
	if (!now) return;
	sync($("blocks"), now, ({ address, until, reason }) => `${address} ${until} ${reason}`, ({ address, until, reason }) => {
		const item = element("li");
		const end = new Date(until * 1000).toLocaleString();
		item.append(element("b", address), element("span", `until ${end}`), element("span", reason, "soft"),
			button("Unblock", "unblock", () => unblock(address)));
		return item;
	});
	if (!now.length) write($("unblocked"), "none");
	else if ($("unblocked").textContent === "none") write($("unblocked"), "");
}

function unblock(address) {
	post("unblock", { address }).then(() => write($("unblocked"), `${address} is no longer blocked`), fail);
}

function openBlocking(address) {
	blockee = address;
	write($("blockee"), address);
	write($("blockproblem"), "");
	$("blocking").showModal();
}

$("block").addEventListener("submit", (event) => {
	event.preventDefault();
	const body = { address: blockee, seconds: Number($("blocktime").value), reason: $("blockreason").value };
	post("block", body).then(() => $("blocking").close(), (problem) => write($("blockproblem"), problem.message));
});
$("noblock").addEventListener("click", () => $("blocking").close());


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

function markHeard(id, isHeard) {
	document.getElementById(`client-${id}`)?.parentElement.classList.toggle("heard", isHeard);
}

function hear(id, address, opener) {
	quiet();
	$("listening").hidden = false;
	$("split").classList.add("open");
	write($("whose"), address);
	$("messages").replaceChildren();
	markHeard(id, true);
	$("listeninghead").focus({ preventScroll: true });
	// "nearest" does not scroll if the panel beside the table is visible.
	const isBeside = matchMedia("(min-width: 68rem)").matches;
	$("listening").scrollIntoView({ block: isBeside ? "nearest" : "start" });
	const abort = new AbortController();
	listening = { id, abort, opener };
	const handlers = {
		begin: () => note("listening"),
		messages: ({ messages, missed }) => {
			for (const { way, text, length } of messages) {
				const cut = length > text.length ? `${text}\u2026 (${length} characters)` : text;
				const arrow = element("b", way === "in" ? "\u2192" : "\u2190", `way-${way}`);
				arrow.title = way === "in" ? "received" : "sent";
				line(way, arrow, element("span", cut));
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
	markHeard(listening.id, false);
	const { opener } = listening;
	listening = null;
	$("listening").hidden = true;
	$("split").classList.remove("open");
	if (opener.isConnected) opener.focus();
}


// The whole page

function login(text) {
	say(text, "bad");
	$("main").hidden = true;
	$("login").hidden = false;
	$("token").focus();
}

async function watch() {
	watching?.abort();
	const mine = watching = new AbortController();
	const handlers = {
		begin: () => {
			keepToken();
			chart.clearHistory();
		},
		history: ({ interval, samples }) => chart.addHistory(interval, samples),
		state,
	};
	while (!mine.signal.aborted) {
		if (!hasToken()) {
			login("enter the access token");
			return;
		}
		try {
			await events(`state?${new URLSearchParams(view)}`, mine.signal, handlers);
			say("the server has shut down", "bad");
		} catch (problem) {
			if (mine.signal.aborted) return;
			if (problem.status === 401) {
				forgetToken();
				login(problem.message);
				return;
			}
			say(problem instanceof Problem ? problem.message : "the server cannot be reached", "bad");
		}
		await new Promise((resolve) => setTimeout(resolve, RETRY));
	}
}

function save(path, name) {
	const { find, sort, order } = view;
	const parameters = new URLSearchParams({ find, sort, order, table: $("exported").value });
	download(`${path}?${parameters}`, name).then(
		() => write($("saved"), `${name} was downloaded`),
		(problem) => write($("saved"), problem.message),
	);
}

$("login").addEventListener("submit", (event) => {
	event.preventDefault();
	setToken($("token").value.trim());
	$("token").value = "";
	watch();
});
$("say").addEventListener("submit", (event) => {
	event.preventDefault();
	post("say", { text: $("text").value }).then(
		({ hearers }) => {
			write($("said"), `sent to ${hearers}`);
			$("text").value = "";
		},
		(problem) => write($("said"), problem.message),
	);
});
let typing = 0;
$("find").addEventListener("input", () => {
	clearTimeout(typing);
	typing = setTimeout(() => {
		view.find = $("find").value;
		watch();
	}, 300);
});
$("sort").addEventListener("change", () => sortBy($("sort").value));
$("reverse").addEventListener("click", () => sortBy(view.sort));
$("stop").addEventListener("click", quiet);
$("closeroom").addEventListener("click", () => {
	const name = view.room;
	confirmed($("closeroom"), () => post("closeroom", { room: name }).catch(fail));
});
$("hideroom").addEventListener("click", () => openRoom(view.room));
$("csv").addEventListener("click", () => save("export.csv", `${$("exported").value}.csv`));
$("json").addEventListener("click", () => save("export.json", "dashboard.json"));
$("what").addEventListener("change", draw);
$("span").addEventListener("change", draw);
addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
watch();
