//! The standard library in programs that are one file: bundlers (PyInstaller and its like) cut the
//! paths of what they pack down to what lies below `sys.path`, so that nothing but its name tells
//! `socket.py` from a file of the user's.

/// The top-level modules and packages of the standard library that are written in Python, of any
/// version from 3.8 to 3.15. `test` and what else no program imports is left out.
#[rustfmt::skip]
const MODULES: [&str; 212] = [
    "__future__", "_aix_support", "_android_support", "_apple_support", "_ast_unparse",
    "_bootlocale", "_bootsubprocess", "_collections_abc", "_colorize", "_compat_pickle",
    "_compression", "_distutils_system_mod", "_dummy_thread", "_ios_support", "_markupbase",
    "_opcode_metadata", "_osx_support", "_py_abc", "_py_warnings", "_pydatetime", "_pydecimal",
    "_pyio", "_pylong", "_pyrepl", "_sitebuiltins", "_strptime", "_threading_local", "_weakrefset",
    "abc", "aifc", "annotationlib", "argparse", "ast", "asynchat", "asyncio", "asyncore", "base64",
    "bdb", "binhex", "bisect", "bz2", "cProfile", "calendar", "cgi", "cgitb", "chunk", "cmd",
    "code", "codecs", "codeop", "collections", "colorsys", "compileall", "compression",
    "concurrent", "configparser", "contextlib", "contextvars", "copy", "copyreg", "crypt", "csv",
    "ctypes", "curses", "dataclasses", "datetime", "dbm", "decimal", "difflib", "dis", "distutils",
    "doctest", "dummy_threading", "email", "encodings", "ensurepip", "enum", "filecmp", "fileinput",
    "fnmatch", "formatter", "fractions", "ftplib", "functools", "genericpath", "getopt", "getpass",
    "gettext", "glob", "graphlib", "gzip", "hashlib", "heapq", "hmac", "html", "http", "imaplib",
    "imghdr", "imp", "importlib", "inspect", "io", "ipaddress", "json", "keyword", "linecache",
    "locale", "logging", "lzma", "mailbox", "mailcap", "mimetypes", "modulefinder",
    "multiprocessing", "netrc", "nntplib", "ntpath", "nturl2path", "numbers", "opcode", "operator",
    "optparse", "os", "pathlib", "pdb", "pickle", "pickletools", "pipes", "pkgutil", "platform",
    "plistlib", "poplib", "posixpath", "pprint", "profile", "profiling", "pstats", "pty",
    "py_compile", "pyclbr", "pydoc", "pydoc_data", "queue", "quopri", "random", "re", "reprlib",
    "rlcompleter", "runpy", "sched", "secrets", "selectors", "shelve", "shlex", "shutil", "signal",
    "site", "smtpd", "smtplib", "sndhdr", "socket", "socketserver", "sqlite3", "sre_compile",
    "sre_constants", "sre_parse", "ssl", "stat", "statistics", "string", "stringprep", "struct",
    "subprocess", "sunau", "symbol", "symtable", "sysconfig", "tabnanny", "tarfile", "telnetlib",
    "tempfile", "textwrap", "threading", "timeit", "tkinter", "token", "tokenize", "tomllib",
    "trace", "traceback", "tracemalloc", "tty", "turtle", "types", "typing", "unittest", "urllib",
    "uu", "uuid", "venv", "warnings", "wave", "weakref", "webbrowser", "wsgiref", "xdrlib", "xml",
    "xmlrpc", "zipapp", "zipfile", "zipimport", "zoneinfo",
];

/// Whether `file`, a name without a folder that leads to it, is one of the standard library's.
/// A program's own file of such a name would hide the library's from itself.
pub(super) fn is_stdlib(file: &str) -> bool {
    let top = match file.split_once('/') {
        Some((package, _)) => Some(package),
        None => file.strip_suffix(".py"),
    };
    top.is_some_and(|top| MODULES.binary_search(&top).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modules_are_in_the_order_that_the_search_needs() {
        assert!(MODULES.is_sorted());
    }

    #[test]
    fn a_name_is_the_librarys_or_it_is_not() {
        for file in ["socket.py", "json/decoder.py", "concurrent/futures/thread.py", "_strptime.py"]
        {
            assert!(is_stdlib(file), "{file}");
        }
        for file in ["app.py", "socket", "sockets.py", "app/socket.py", "/socket.py", "./os.py", ""]
        {
            assert!(!is_stdlib(file), "{file}");
        }
    }
}
