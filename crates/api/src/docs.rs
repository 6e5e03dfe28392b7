//! `/docs`: one page that reads the OpenAPI document, with its style and script beside it, and the list of error codes.
//! Nothing comes from elsewhere, and nothing inline runs.

use crate::codes::{CODES, FIELD_CODES};
use crate::openapi::Fixed;
use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderMap, HeaderValue};
use std::fmt::Write;

const HTML: &str = "text/html; charset=utf-8";
const PAGE: &str = include_str!("../assets/docs.html");
const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = include_str!("../assets/app.js");
const PAGE_CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/docs", page(PAGE, HTML))
        .route("/docs/style.css", page(STYLE, "text/css; charset=utf-8"))
        .route("/docs/app.js", page(SCRIPT, "text/javascript; charset=utf-8"))
        .route("/docs/errors", page(errors_page(), HTML))
}

fn page(content: impl Into<Bytes>, kind: &'static str) -> axum::routing::MethodRouter {
    let fixed = Fixed::new(content, kind);
    get(move |headers: HeaderMap| {
        let mut response = fixed.respond(&headers);
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, PAGE_CSP);
        std::future::ready(response)
    })
}

fn errors_page() -> String {
    let mut rows = String::new();
    for entry in CODES {
        // Writing to a String cannot fail.
        let _ = writeln!(
            rows,
            "<tr id=\"{0}\"><th scope=\"row\"><a href=\"#{0}\"><code>{0}</code></a></th><td>{1}</td><td>{2}</td><td>{3}</td></tr>",
            entry.code,
            entry.status,
            escape(entry.means),
            escape(entry.advice),
        );
    }
    let mut fields = String::new();
    for (code, means) in FIELD_CODES {
        let _ = writeln!(
            fields,
            "<tr><th scope=\"row\"><code>{code}</code></th><td>{}</td></tr>",
            escape(means)
        );
    }
    include_str!("../assets/errors.html")
        .replace("{{codes}}", &rows)
        .replace("{{fields}}", &fields)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_anchor() {
        let page = errors_page();
        for entry in CODES {
            assert!(page.contains(&format!("id=\"{}\"", entry.code)), "{}", entry.code);
        }
        assert!(!page.contains("{{"));
    }

    #[test]
    fn pages_load_nothing_from_elsewhere() {
        for text in [PAGE, STYLE, SCRIPT, &errors_page()] {
            assert!(!text.contains("http://") && !text.contains("https://"));
            assert!(!text.contains("innerHTML") && !text.contains("<script>"));
        }
    }
}
