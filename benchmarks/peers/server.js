// Node server: echo, broadcast, policy and datagrams, and WebSocket if ws is installed.
"use strict";
const net = require("net");

const what = process.argv[2];
const request = Buffer.from("<policy-file-request/>\0");
const file = Buffer.from('<?xml version="1.0"?><cross-domain-policy>'
    + '<allow-access-from domain="*" to-ports="*"/></cross-domain-policy>\0');
const all = new Set();

// Process a message: echo it.
function messageReceived(message, replies) {
    replies.push(message);
}

function answer(socket, replies) {
    const data = replies.length === 1 ? replies[0] : Buffer.concat(replies);
    if (what === "broadcast") {
        for (const each of all) {
            each.write(data);
        }
    } else {
        socket.write(data);
    }
}

function serve(socket) {
    let begun = [];
    all.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => all.delete(socket));
    socket.on("data", (data) => {
        const replies = [];
        let from = 0;
        for (let end = data.indexOf(0); end >= 0; end = data.indexOf(0, from)) {
            let message = data.subarray(from, end + 1);
            if (begun.length) {
                message = Buffer.concat([...begun, message]);
                begun = [];
            }
            messageReceived(message, replies);
            from = end + 1;
        }
        if (from < data.length) {
            begun.push(data.subarray(from));
        }
        if (what === "policy" && replies.length) {
            socket.end(replies[0].equals(request) ? file : undefined);
        } else if (replies.length) {
            answer(socket, replies);
        }
    });
}

if (what === "datagrams") {
    const socket = require("dgram").createSocket("udp4");
    socket.on("message", (data, from) => socket.send(data, from.port, from.address));
    socket.bind(0, "127.0.0.1");
} else if (what === "websocket") {
    const { WebSocketServer } = require("ws");
    const options = { host: "127.0.0.1", port: 0, backlog: 1024, perMessageDeflate: false };
    const server = new WebSocketServer(options);
    server.on("connection", (socket) => {
        socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
} else {
    const server = net.createServer({ noDelay: true }, serve);
    server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 });
}
