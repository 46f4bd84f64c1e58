import flash.Lib;
import flash.events.Event;
import flash.events.EventDispatcher;
import flash.events.IOErrorEvent;
import flash.events.SecurityErrorEvent;
import flash.external.ExternalInterface;

/**
	What the programs have in common: parameters, which the page hands on, and reports to the page.
**/
class Program {
	public static function parameter(name:String):Null<String> {
		return Reflect.field(Lib.current.loaderInfo.parameters, name);
	}

	public static var host(get, never):String;

	static function get_host():String {
		return parameter("host");
	}

	public static var port(get, never):Int;

	static function get_port():Int {
		return Std.parseInt(parameter("port"));
	}

	public static function report(happened:Array<Dynamic>):Void {
		Reflect.callMethod(null, ExternalInterface.call, (["report"] : Array<Dynamic>).concat(happened));
	}

	/**
		Report how a socket ends.
	**/
	public static function reportEnd(socket:EventDispatcher):Void {
		socket.addEventListener(IOErrorEvent.IO_ERROR, function(_) report(["ioError"]));
		socket.addEventListener(SecurityErrorEvent.SECURITY_ERROR, function(_) report(["securityError"]));
		socket.addEventListener(Event.CLOSE, function(_) report(["close"]));
	}
}
