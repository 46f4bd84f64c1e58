package flash.display {
	import flash.events.EventDispatcher;

	public class DisplayObject extends EventDispatcher {
		public var x:Number;
		public var y:Number;
		public var width:Number;
		public var stage:DisplayObject;
		public var loaderInfo:LoaderInfo;
	}
}
