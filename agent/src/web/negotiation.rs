//! What a client wants: which of the two text formats, and whether gzipped (RFC 9110, 12.4 and 12.5).

/// The versions that are served; a client that names another is not answered with it.
const OPENMETRICS: &str = "1.0.0";
const CLASSIC: &str = "0.0.4";

/// Whether `Accept` asks for OpenMetrics at least as much as for the classic text, which everybody
/// else gets: who asks for neither, too.
pub(super) fn wants_openmetrics(accept: &str) -> bool {
    let of = |media_type, version| {
        let named = |range: &Item<'_>| {
            let version_fits = range.parameter("version").is_none_or(|asked| asked == version);
            range.name.eq_ignore_ascii_case(media_type) && version_fits
        };
        best(accept, named)
    };
    let openmetrics = of("application/openmetrics-text", OPENMETRICS);
    // The most specific range that fits decides, whatever a wider one says.
    let classic = of("text/plain", CLASSIC)
        .or_else(|| best(accept, |range| range.name.eq_ignore_ascii_case("text/*")))
        .or_else(|| best(accept, |range| range.name == "*/*"));
    openmetrics.is_some_and(|q| q > 0.0 && q >= classic.unwrap_or(0.0))
}

/// Whether `Accept-Encoding` allows gzip, and does not want the plain text more.
pub(super) fn wants_gzip(accept_encoding: &str) -> bool {
    let of = |coding: &str| best(accept_encoding, |item| item.name.eq_ignore_ascii_case(coding));
    let gzip = of("gzip").or_else(|| of("x-gzip")).or_else(|| of("*"));
    gzip.is_some_and(|q| q > 0.0 && q >= of("identity").unwrap_or(0.0))
}

/// One element of a list: a name and its parameters.
struct Item<'a> {
    name: &'a str,
    parameters: &'a str,
}

impl<'a> Item<'a> {
    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.split(';').find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            let value = value.trim().trim_matches('"');
            key.trim().eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// 0 where it is no number from 0 to 1.
    fn quality(&self) -> f64 {
        let Some(stated) = self.parameter("q") else { return 1.0 };
        stated.parse().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0)
    }
}

/// The highest quality among the elements that fit; `None` when none does.
fn best(list: &str, fits: impl Fn(&Item<'_>) -> bool) -> Option<f64> {
    let items = list.split(',').map(|element| {
        let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
        Item { name: name.trim(), parameters }
    });
    items.filter(fits).map(|item| item.quality()).max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exercise what Prometheus 2 and 3, curl and a browser send, and what nobody should.
    #[test]
    fn the_format_follows_accept() {
        for (accept, expected) in [
            ("", false),
            ("*/*", false),
            ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", false),
            (
                "application/openmetrics-text;version=1.0.0,\
                 application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                true,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                true,
            ),
            ("application/openmetrics-text;q=0.3, text/plain", false),
            ("application/openmetrics-text;q=0.3, text/plain;version=1.0.0", true),
            ("application/openmetrics-text;version=0.0.1", false),
            ("application/openmetrics-text;version=\"1.0.0\"", true),
            ("application/openmetrics-text;version=2.0.0, text/plain;q=0.1", false),
            ("application/openmetrics-text;q=0.5, text/plain;q=0.1, */*", true),
            ("application/openmetrics-text;q=0.5, */*;q=0.8", false),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;q=nan", false),
            ("application/openmetrics-text;q=7", false),
            ("Application/OpenMetrics-Text ; Q=0.9", true),
            (";;;,,,q=1;", false),
        ] {
            assert_eq!(wants_openmetrics(accept), expected, "{accept:?}");
        }
    }

    /// Exercise what clients send, and how RFC 9110 weighs it.
    #[test]
    fn gzip_follows_accept_encoding() {
        for (accept, expected) in [
            ("", false),
            ("gzip", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("br, zstd", false),
            ("*", true),
            ("gzip;q=0, *", false),
            ("gzip;q=0.5, identity", false),
            ("identity;q=0.5, gzip", true),
            ("GZIP", true),
            ("gzipped", false),
        ] {
            assert_eq!(wants_gzip(accept), expected, "{accept:?}");
        }
    }
}
