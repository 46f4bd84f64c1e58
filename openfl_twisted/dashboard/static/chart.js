// The chart: samples of the server for the last hour, and the states received for the last two minutes.

import { $, bytes, milliseconds, number } from "./elements.js";

const LIVE_SPAN = 120;
// Between samples with a longer distance (seconds), no line is drawn.
const GAP = 30;
const BOTTOM = 18;
const LABEL_WIDTH = 64;

const KINDS = {
	messages: { title: "Messages per second", text: number, colours: ["--in", "--out"] },
	bytes: { title: "Bytes per second", text: bytes, colours: ["--in", "--out"] },
	clients: { title: "Clients", text: number, colours: ["--accent"] },
	lag: { title: "Event-loop lag", text: milliseconds, colours: ["--accent"], least: 0.01 },
};

let past = [];
let live = [];

export function clearHistory() {
	past = [];
}

export function addHistory(interval, samples) {
	for (const [time, clients, messagesIn, messagesOut, bytesIn, bytesOut, lag] of samples) {
		past.push({
			time,
			messages: [messagesIn / interval, messagesOut / interval],
			bytes: [bytesIn / interval, bytesOut / interval],
			clients: [clients],
			lag: [lag],
		});
	}
	past = past.slice(-360);
}

export function addLive(sample) {
	live.push(sample);
	live = live.filter(({ time }) => time > sample.time - LIVE_SPAN - GAP);
}

export function latest() {
	return live.at(-1);
}

function pointsOf(seconds, end) {
	const begin = live.length ? live[0].time : Infinity;
	const points = seconds > LIVE_SPAN
		? [...past, ...live.slice(-1)]
		: [...past.filter(({ time }) => time < begin), ...live];
	return points.filter(({ time }) => time > end - seconds - GAP);
}

export function draw() {
	const kind = KINDS[$("what").value];
	const seconds = Number($("span").value);
	const end = latest()?.time ?? past.at(-1)?.time ?? 0;
	const points = pointsOf(seconds, end);
	const canvas = $("chart");
	const scale = window.devicePixelRatio || 1;
	const width = canvas.clientWidth, height = canvas.clientHeight;
	canvas.width = width * scale;
	canvas.height = height * scale;
	const pen = canvas.getContext("2d");
	pen.scale(scale, scale);
	const style = getComputedStyle(document.documentElement);
	const colour = (property) => style.getPropertyValue(property);
	const values = points.flatMap((point) => point[$("what").value]);
	const most = Math.max(kind.least ?? 1, ...values);
	const x = (time) => width * (1 - (end - time) / seconds);
	const y = (value) => height - BOTTOM - (height - BOTTOM - 16) * value / most;
	function line(x1, y1, x2, y2) {
		pen.beginPath();
		pen.moveTo(x1, y1);
		pen.lineTo(x2, y2);
		pen.stroke();
	}
	pen.strokeStyle = colour("--line");
	pen.lineWidth = 1;
	for (const value of [0, most / 2, most]) line(0, y(value), width, y(value));
	pen.fillStyle = colour("--soft");
	pen.font = "12px system-ui, sans-serif";
	axis(pen, seconds, width, height, line);
	kind.colours.forEach((property, way) => {
		pen.strokeStyle = colour(property);
		pen.lineWidth = 1.75;
		pen.beginPath();
		points.forEach((point, place) => {
			const connected = place > 0 && point.time - points[place - 1].time < GAP;
			pen[connected ? "lineTo" : "moveTo"](x(point.time), y(point[$("what").value][way]));
		});
		pen.stroke();
	});
	pen.textAlign = "left";
	pen.fillText(kind.text(most), 2, 12);
	const title = kind.title;
	if ($("unit").textContent !== title) $("unit").textContent = title;
	const period = $("span").selectedOptions[0].textContent;
	const label = `${title} in the last ${period}`;
	if (canvas.getAttribute("aria-label") !== label) canvas.setAttribute("aria-label", label);
}

// The times of the browser's clock, at multiples of the distance between two labels.
function axis(pen, seconds, width, height, line) {
	const step = seconds > LIVE_SPAN ? 600 : 30;
	const now = Date.now() / 1000;
	const format = { hour: "2-digit", minute: "2-digit" };
	if (step < 60) format.second = "2-digit";
	let free = width;
	pen.textAlign = "center";
	for (let time = Math.floor(now / step) * step; time > now - seconds; time -= step) {
		const x = width * (1 - (now - time) / seconds);
		line(x, height - BOTTOM, x, height - BOTTOM + 4);
		if (x + LABEL_WIDTH / 2 > free || x < LABEL_WIDTH / 2) continue;
		pen.fillText(new Date(time * 1000).toLocaleTimeString([], format), x, height - 3);
		free = x - LABEL_WIDTH / 2;
	}
}
