// Elements and texts. Data from clients only becomes text nodes.

export const $ = (id) => document.getElementById(id);

const formatter = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export const number = (value) => formatter.format(value);

export function bytes(count) {
	for (const unit of ["B", "KiB", "MiB", "GiB"]) {
		if (count < 1024 || unit === "GiB") return `${number(count)} ${unit}`;
		count /= 1024;
	}
}

export function milliseconds(seconds) {
	return `${number(seconds * 1000)} ms`;
}

export function span(seconds) {
	const whole = Math.max(0, Math.floor(seconds));
	const two = (value) => String(value).padStart(2, "0");
	const clock = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
	return whole < 3600 ? clock : `${Math.floor(whole / 3600)}:${clock}`;
}

export function element(name, text, className) {
	const made = document.createElement(name);
	if (text !== undefined) made.textContent = text;
	if (className) made.className = className;
	return made;
}

export function button(text, className, act) {
	const made = element("button", text, className);
	made.type = "button";
	made.addEventListener("click", () => act(made));
	return made;
}

// Writing equal text would interrupt a selection, and screen readers could read it again.
export function write(target, text) {
	if (target.textContent !== text) target.textContent = text;
}

export function show(className, present) {
	for (const each of document.getElementsByClassName(className)) each.hidden = !present;
}

// Update the children of an element, one for each item. The child of an item is kept, with its focus.
export function sync(parent, items, key, make, update) {
	const focused = document.activeElement;
	const place = [...parent.children].findIndex((child) => child.contains(focused));
	const before = new Map([...parent.children].map((child) => [child.key, child]));
	const keys = new Set(items.map(key));
	for (const [name, child] of before) if (!keys.has(name)) child.remove();
	items.forEach((item, index) => {
		const name = key(item);
		const child = before.get(name) ?? make(item);
		child.key = name;
		if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
		update?.(child, item);
	});
	// Moving an element removes the focus. The next element receives that of a removed one.
	if (place < 0 || document.activeElement === focused) return;
	const next = parent.children[Math.min(place, parent.children.length - 1)];
	const target = focused.isConnected ? focused : next?.querySelector("button:not([hidden])");
	target?.focus({ preventScroll: true });
}

// The texts of the buttons that have been clicked once.
const asking = new Map();

// An irreversible action takes two clicks.
export function confirmed(pressed, act) {
	if (asking.has(pressed)) {
		unconfirm(pressed);
		act();
		return;
	}
	asking.set(pressed, [pressed.textContent, setTimeout(() => unconfirm(pressed), 3000)]);
	pressed.textContent = "Sure?";
	pressed.classList.add("sure");
}

export function unconfirm(pressed) {
	if (!asking.has(pressed)) return;
	const [text, timer] = asking.get(pressed);
	asking.delete(pressed);
	clearTimeout(timer);
	pressed.textContent = text;
	pressed.classList.remove("sure");
}
