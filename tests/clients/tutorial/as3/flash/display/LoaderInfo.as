package flash.display {
	import flash.events.EventDispatcher;

	public class LoaderInfo extends EventDispatcher {
		public var parameters:Object;
	}
}
