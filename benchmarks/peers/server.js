// Node server: echo with or without TLS, broadcast, rooms, policy and datagrams. With ws, echo and
// rooms over WebSocket.
"use strict";
const fs = require("fs");
const net = require("net");
const tls = require("tls");

const [what, option] = process.argv.slice(2);
const request = Buffer.from("<policy-file-request/>\0");
const file = Buffer.from('<?xml version="1.0"?><cross-domain-policy>'
    + '<allow-access-from domain="*" to-ports="*"/></cross-domain-policy>\0');
const all = new Set();
const rooms = new Map();

const joining = /^<join room="([^"<]*)" name="([^"<]*)"\/>\0$/;
const saying = /^<say>([^<]*)<\/say>\0$/;

// Join a room, or send a message to the other members. Node has no XML parser.
function roomMessage(client, text, send) {
    const said = saying.exec(text);
    const joined = joining.exec(text);
    let message;
    if (said) {
        message = `<say from="${client.member}">${said[1]}</say>\0`;
    } else if (joined) {
        const [, room, name] = joined;
        if (!rooms.has(room)) {
            rooms.set(room, new Set());
        }
        client.member = name;
        client.room = rooms.get(room).add(client);
        client.on("close", () => client.room.delete(client));
        send(client, Buffer.from(`<welcome room="${room}" name="${name}"/>\0`));
        message = `<joined name="${name}"/>\0`;
    } else {
        return;
    }
    const data = Buffer.from(message);
    for (const each of client.room) {
        if (each !== client) {
            send(each, data);
        }
    }
}

function write(socket, data) {
    socket.write(data);
}

// Process a message: echo it.
function messageReceived(socket, message, replies) {
    if (what === "say") {
        roomMessage(socket, message.toString(), write);
    } else {
        replies.push(message);
    }
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
            messageReceived(socket, message, replies);
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

function serveWebSocket(socket) {
    const send = (each, data) => each.send(data, { binary: true });
    socket.on("message", (data, isBinary) => {
        if (what === "say") {
            roomMessage(socket, data.toString(), send);
        } else {
            socket.send(data, { binary: isBinary });
        }
    });
}

const listening = { host: "127.0.0.1", port: 0, backlog: 1024 };
if (what === "datagrams") {
    const socket = require("dgram").createSocket("udp4");
    socket.on("message", (data, from) => socket.send(data, from.port, from.address));
    socket.bind(0, "127.0.0.1");
} else if (option === "websocket") {
    const { WebSocketServer } = require("ws");
    const server = new WebSocketServer({ ...listening, perMessageDeflate: false });
    server.on("connection", serveWebSocket);
} else if (option) {
    const pem = fs.readFileSync(option);
    tls.createServer({ key: pem, cert: pem }, serve).listen(listening);
} else {
    net.createServer({ noDelay: true }, serve).listen(listening);
}
