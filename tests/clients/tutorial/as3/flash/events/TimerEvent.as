package flash.events {
	public class TimerEvent extends Event {
		public static const TIMER:String = "timer";
	}
}
