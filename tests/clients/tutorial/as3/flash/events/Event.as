package flash.events {
	public class Event {
		public static const CONNECT:String = "connect";
		public static const CLOSE:String = "close";
	}
}
