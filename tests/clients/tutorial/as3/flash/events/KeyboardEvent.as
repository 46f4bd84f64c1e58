package flash.events {
	public class KeyboardEvent extends Event {
		public static const KEY_DOWN:String = "keyDown";
		public var keyCode:uint;
	}
}
