import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;

/** Server with one thread and a java.nio selector: echo, broadcast, policy or datagrams. */
public final class Server {
    private static final byte[] REQUEST = "<policy-file-request/>\0".getBytes(StandardCharsets.UTF_8);
    private static final byte[] FILE = ("<?xml version=\"1.0\"?><cross-domain-policy>"
            + "<allow-access-from domain=\"*\" to-ports=\"*\"/></cross-domain-policy>\0")
            .getBytes(StandardCharsets.UTF_8);
    private static final ByteBuffer input = ByteBuffer.allocateDirect(256 * 1024);
    private static final byte[] bytes = new byte[256 * 1024];
    private static final Set<Connection> all = new HashSet<>();
    private static String what;

    private static final class Connection {
        final SocketChannel channel;
        final SelectionKey key;
        final ArrayDeque<ByteBuffer> out = new ArrayDeque<>();
        byte[] begun = new byte[0];
        int length;

        Connection(SocketChannel channel, Selector selector) throws IOException {
            this.channel = channel;
            channel.configureBlocking(false);
            channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
            key = channel.register(selector, SelectionKey.OP_READ, this);
            all.add(this);
        }

        void send(ByteBuffer data) throws IOException {
            if (out.isEmpty()) {
                channel.write(data);
            }
            if (data.hasRemaining()) {
                ByteBuffer rest = ByteBuffer.allocateDirect(data.remaining());
                rest.put(data).flip();
                out.add(rest);
                key.interestOps(SelectionKey.OP_READ | SelectionKey.OP_WRITE);
            }
        }

        void writable() throws IOException {
            while (!out.isEmpty()) {
                channel.write(out.peek());
                if (out.peek().hasRemaining()) {
                    return;
                }
                out.remove();
            }
            key.interestOps(SelectionKey.OP_READ);
        }

        void append(int from, int to) {
            if (length + to - from > begun.length) {
                begun = Arrays.copyOf(begun, Math.max(2 * begun.length, length + to - from));
            }
            System.arraycopy(bytes, from, begun, length, to - from);
            length += to - from;
        }

        void readable() throws IOException {
            input.clear();
            int got = channel.read(input);
            if (got < 0) {
                lose();
                return;
            }
            input.flip();
            input.get(bytes, 0, got);
            if (what.equals("policy")) {
                append(0, got);
                if (length >= REQUEST.length) {
                    if (Arrays.equals(Arrays.copyOf(begun, length), REQUEST)) {
                        channel.write(ByteBuffer.wrap(FILE));
                    }
                    lose();
                }
                return;
            }
            int begin = 0;
            ByteBuffer replies = null;
            for (int place = 0; place < got; place++) {
                if (bytes[place] == 0) {
                    append(begin, place + 1);
                    begin = place + 1;
                    replies = messageReceived(replies);
                }
            }
            append(begin, got);
            if (replies != null) {
                replies.flip();
                if (what.equals("broadcast")) {
                    for (Connection each : all) {
                        each.send(replies.duplicate());
                    }
                } else {
                    send(replies);
                }
            }
        }

        /** All replies to one read are sent in one write. */
        ByteBuffer messageReceived(ByteBuffer replies) {
            int need = length + (replies == null ? 0 : replies.position());
            if (replies == null || replies.capacity() < need) {
                ByteBuffer larger = ByteBuffer.allocate(Math.max(2 * need, 8192));
                if (replies != null) {
                    larger.put(replies.flip());
                }
                replies = larger;
            }
            replies.put(begun, 0, length);
            length = 0;
            return replies;
        }

        void lose() throws IOException {
            all.remove(this);
            key.cancel();
            channel.close();
        }
    }

    private static void datagrams() throws IOException {
        try (DatagramChannel channel = DatagramChannel.open()) {
            channel.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            for (;;) {
                input.clear();
                SocketAddress from = channel.receive(input);
                input.flip();
                channel.send(input, from);
            }
        }
    }

    public static void main(String[] arguments) throws IOException {
        what = arguments[0];
        if (what.equals("datagrams")) {
            datagrams();
        }
        Selector selector = Selector.open();
        ServerSocketChannel listener = ServerSocketChannel.open();
        listener.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 1024);
        listener.configureBlocking(false);
        listener.register(selector, SelectionKey.OP_ACCEPT);
        for (;;) {
            selector.select();
            for (SelectionKey key : selector.selectedKeys()) {
                Connection each = (Connection) key.attachment();
                try {
                    if (each == null) {
                        SocketChannel channel;
                        while ((channel = listener.accept()) != null) {
                            new Connection(channel, selector);
                        }
                        continue;
                    }
                    if (key.isWritable()) {
                        each.writable();
                    }
                    if (key.isValid() && key.isReadable()) {
                        each.readable();
                    }
                } catch (IOException broken) {
                    each.lose();
                }
            }
            selector.selectedKeys().clear();
        }
    }
}
