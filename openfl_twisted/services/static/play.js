/**
	Play the SWF file of the server in the element with the id "game", or else in the body.
**/
(async () => {
	const parent = document.getElementById("game") ?? document.body;
	// The address of this script is the only one that is valid behind every proxy and below every path.
	const root = new URL("../", document.currentScript.src);

	// The WebSocket has the host, port and encryption of the page.
	function socketURL(path) {
		const url = new URL(path, root);
		url.protocol = url.protocol.replace("http", "ws");
		return url.href;
	}

	try {
		const answer = await fetch(new URL("_openfl/play.json", root));
		const { swf, ruffle, sockets, config } = await answer.json();
		const proxies = sockets.map(({ host, port, path }) => ({ host, port, proxyUrl: socketURL(path) }));
		// Without a host, programs connect to the host of the page.
		for (const { port, proxyUrl } of [...proxies]) {
			const host = root.hostname;
			if (!proxies.some(each => each.host === host && each.port === port)) {
				proxies.push({ host, port, proxyUrl });
			}
		}
		const options = {
			autoplay: "on",
			// Ruffle then reports each unknown host and port to which the program connects.
			logLevel: "warn",
			...config,
			...window.RufflePlayer?.config,
			socketProxy: proxies,
			url: new URL(swf, root).href,
		};

		const script = document.createElement("script");
		script.src = new URL(ruffle, root);
		await new Promise((resolve, reject) => {
			script.onload = resolve;
			script.onerror = () => reject(new Error(`${script.src} could not be loaded`));
			document.head.append(script);
		});
		const player = window.RufflePlayer.newest().createPlayer();
		Object.assign(player.style, { display: "block", width: "100%", height: "100%" });
		parent.replaceChildren(player);
		// Ruffle uses the parameters only if they are passed here, unlike the other settings.
		await player.ruffle().load(options);
	} catch (problem) {
		parent.textContent = `The game cannot be started: ${problem.message}.`;
		throw problem;
	}
})();
