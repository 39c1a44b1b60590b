//! What is kept of an HTTP request once it is over: a compact copy of its head.
//! Nothing here decides anything.

use std::net::SocketAddr;

use actix_web::{HttpRequest, web};

/// The head of a request, copied so that it neither pins the server's read buffer nor costs a hash
/// map for each connection.
#[derive(Debug, Clone)]
pub struct RequestHead {
    query: Box<str>,
    headers: Box<str>,
    /// End of each header's name and of its value in `headers`.
    ends: Box<[(u32, u32)]>,
    peer: Option<SocketAddr>,
}

impl RequestHead {
    /// Copies the head of `request`. A header value that is not UTF-8 is read lossily.
    #[must_use]
    pub fn new(request: &HttpRequest) -> Self {
        let mut headers = String::new();
        let mut ends = Vec::with_capacity(request.headers().len());
        for (name, value) in request.headers() {
            headers.push_str(name.as_str());
            let name_end = headers.len();
            headers.push_str(&String::from_utf8_lossy(value.as_bytes()));
            ends.push((position(name_end), position(headers.len())));
        }
        Self {
            query: request.query_string().into(),
            headers: headers.into(),
            ends: ends.into(),
            peer: request.peer_addr(),
        }
    }

    /// The first value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// All headers as (lower-case name, value); a name may come more than once.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().filter_map(move |&(name_end, end)| {
            let (name_end, end) = (name_end as usize, end as usize);
            let name = self.headers.get(start..name_end);
            let value = self.headers.get(name_end..end);
            start = end;
            name.zip(value)
        })
    }

    /// The value of a cookie, as sent.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.headers().filter(|(own, _)| *own == "cookie");
        cookies
            .flat_map(|(_, value)| value.split(';'))
            .filter_map(|pair| pair.split_once('='))
            .find(|(own, _)| own.trim() == name)
            .map(|(_, value)| value.trim())
    }

    /// The `Origin` header.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.header("origin")
    }

    /// The query string as sent, without `?`.
    #[must_use]
    pub fn query_string(&self) -> &str {
        &self.query
    }

    /// The query's pairs, decoded, in order.
    #[must_use]
    pub fn query(&self) -> Vec<(String, String)> {
        query_pairs(&self.query)
    }

    /// The decoded value of a query parameter; the last one where it is repeated, as in Node.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<String> {
        self.query().into_iter().rev().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// The other end of the TCP connection.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }
}

/// The pairs of a query string; none if it cannot be decoded.
pub(crate) fn query_pairs(query: &str) -> Vec<(String, String)> {
    web::Query::<Vec<(String, String)>>::from_query(query).map(web::Query::into_inner).unwrap_or_default()
}

/// An HTTP head is bounded by the server far below 4 GiB.
fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_head_is_kept_as_it_was_sent() {
        let request = TestRequest::get()
            .uri("/socket.io/?EIO=4&a=x%20y&a=2")
            .insert_header(("Origin", "http://shop.example"))
            .insert_header(("Cookie", "one=1; haggle_token=abc.def"))
            .to_http_request();
        let head = RequestHead::new(&request);
        assert_eq!(head.origin(), Some("http://shop.example"));
        assert_eq!(head.cookie("haggle_token"), Some("abc.def"));
        assert_eq!(head.cookie("none"), None);
        assert_eq!(head.query_value("a").as_deref(), Some("2"));
        assert_eq!(head.query_value("EIO").as_deref(), Some("4"));
    }
}
