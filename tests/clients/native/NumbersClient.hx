import openfl.Lib;
import openfl.events.Event;
import openfl.events.ProgressEvent;
import openfl.net.Socket;
import openfl.utils.Endian;

/**
	NumbersClient HOST PORT ENDIAN: write a value of each kind, and print the values that come back.
**/
class NumbersClient {
	// 1 + 1 + 2 + 4 + 4 + 8 bytes, and a string of two characters behind its length of two bytes.
	static inline var LENGTH = 25;

	static function main() {
		var arguments = Sys.args();
		var socket = new Socket();
		socket.endian = arguments[2] == "littleEndian" ? Endian.LITTLE_ENDIAN : Endian.BIG_ENDIAN;
		socket.addEventListener(Event.CONNECT, function(_) {
			socket.writeBoolean(true);
			socket.writeByte(-2);
			socket.writeShort(-30562);
			socket.writeInt(-2076553554);
			socket.writeFloat(0.5);
			socket.writeDouble(8090.76);
			socket.writeUTF("\u00e9!");
			socket.flush();
		});
		socket.addEventListener(ProgressEvent.SOCKET_DATA, function(_) {
			if (socket.bytesAvailable < LENGTH) {
				return;
			}
			Sys.println(socket.readBoolean() + " " + socket.readByte() + " " + socket.readShort() + " " + socket.readInt() + " "
				+ socket.readFloat() + " " + socket.readDouble() + " " + socket.readUTF());
			socket.close();
			Lib.quit = true;
		});
		socket.connect(arguments[0], Std.parseInt(arguments[1]));
		Lib.loop(10);
	}
}
