package flash.text {
	import flash.display.DisplayObject;

	public class TextField extends DisplayObject {
		public var text:String;
	}
}
