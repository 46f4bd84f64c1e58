package flash.events {
	public class EventDispatcher {
		public function addEventListener(type:String, listener:Function):void {}
	}
}
