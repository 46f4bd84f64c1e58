/**
	What a page and its test have in common: the parameters, in the query string, and reports of what happens.
**/
const query = new URLSearchParams(location.search);
const host = location.hostname;
const port = Number(query.get("port"));
const secure = query.has("secure");

let reported = Promise.resolve();

/**
	Report what has happened: what it is, and values. One report waits for the other, so that none overtakes.
**/
function report(...happened) {
	reported = reported.then(() => fetch("/report", { method: "POST", body: JSON.stringify(happened) }));
}

addEventListener("error", event => report("error", event.message));
