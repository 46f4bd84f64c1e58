/**
	The server's host and port: from the address of the page, or from the program's arguments.
**/
class Settings {
	public static function host():String {
		#if js
		return js.Browser.location.hostname;
		#elseif sys
		return Sys.args().length > 0 ? Sys.args()[0] : "127.0.0.1";
		#else
		return parameter("host", "127.0.0.1");
		#end
	}

	public static function port():Int {
		#if js
		var given = new js.html.URLSearchParams(js.Browser.location.search).get("port");
		return given == null ? 8080 : Std.parseInt(given);
		#elseif sys
		return Sys.args().length > 1 ? Std.parseInt(Sys.args()[1]) : 8080;
		#else
		return Std.parseInt(parameter("port", "8080"));
		#end
	}

	#if flash
	static function parameter(name:String, standard:String):String {
		var parameters:Dynamic = flash.Lib.current.loaderInfo.parameters;
		return Reflect.hasField(parameters, name) ? Reflect.field(parameters, name) : standard;
	}
	#end
}
