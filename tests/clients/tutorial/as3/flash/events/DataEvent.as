package flash.events {
	public class DataEvent extends Event {
		public static const DATA:String = "data";
		public var data:String;
	}
}
