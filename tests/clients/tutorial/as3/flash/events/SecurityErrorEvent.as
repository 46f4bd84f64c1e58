package flash.events {
	public class SecurityErrorEvent extends Event {
		public static const SECURITY_ERROR:String = "securityError";
		public var text:String;
	}
}
