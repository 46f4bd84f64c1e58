import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/**
 * Does what the Java program of the guide does once it compiles: it greets twice, takes one client, and closes after the first
 * line, since it closes within its loop.
 */
class SimpleServer {
    public static void main(String[] arguments) throws Exception {
        try (ServerSocket server = new ServerSocket(Integer.parseInt(arguments[0]), 1, InetAddress.getLoopbackAddress())) {
            System.out.println("listening on 127.0.0.1:" + server.getLocalPort());
            try (Socket client = server.accept()) {
                BufferedReader in = new BufferedReader(new InputStreamReader(client.getInputStream(), StandardCharsets.UTF_8));
                PrintWriter out = new PrintWriter(client.getOutputStream(), true, StandardCharsets.UTF_8);
                out.print("Enter EXIT to exit.\r\n");
                out.print("Enter EXIT to exit.\r\n");
                out.flush();
                String line = in.readLine();
                if (line != null) {
                    out.print("Echo: " + line + "\r\n");
                    out.flush();
                }
            }
        }
    }
}
