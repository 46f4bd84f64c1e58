import flash.events.Event;
import flash.events.ProgressEvent;
import flash.net.Socket;
import flash.utils.Endian;

/**
	Write a value of each kind, and read GREETING and the values again.
**/
class NumbersClient {
	// 1 + 1 + 2 + 4 + 4 + 8 bytes, and a string of three bytes behind its length of two.
	static inline var LENGTH = 25;

	static function main() {
		var greeting = Program.parameter("greeting");
		var socket = new Socket();
		socket.endian = Program.parameter("endian") == "littleEndian" ? Endian.LITTLE_ENDIAN : Endian.BIG_ENDIAN;
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
			if (socket.bytesAvailable < cast(greeting.length + LENGTH, UInt)) {
				return;
			}
			Program.report(["greeting", socket.readUTFBytes(greeting.length)]);
			Program.report(([
				"numbers", socket.readBoolean(), socket.readByte(), socket.readShort(), socket.readInt(), socket.readFloat(),
				socket.readDouble(), socket.readUTF()
			] : Array<Dynamic>));
			socket.close();
		});
		Program.reportEnd(socket);
		socket.connect(Program.host, Program.port);
	}
}
