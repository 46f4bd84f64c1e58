package flash.net {
	import flash.events.EventDispatcher;

	public class XMLSocket extends EventDispatcher {
		public var connected:Boolean;
		public function connect(host:String, port:int):void {}
		public function send(object:*):void {}
		public function close():void {}
	}
}
