package flash.events {
	public class IOErrorEvent extends Event {
		public static const IO_ERROR:String = "ioError";
		public var text:String;
	}
}
