package flash.utils {
	import flash.events.EventDispatcher;

	public class Timer extends EventDispatcher {
		public function Timer(delay:Number, repeatCount:int = 0) {}
		public function reset():void {}
		public function start():void {}
	}
}
