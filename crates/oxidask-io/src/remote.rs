//! Bytes that come over the network: HTTP and S3-compatible stores.
//!
//! Callers block; one background thread does the waiting for all of them. A
//! [`RemoteReader`] asks for a window at a time, so that a reader who stops
//! early has not downloaded a large file.

use crate::options::StorageOptions;
use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::{ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, RetryConfig};
use oxidask_core::{Error, ErrorKind, Result};
use reqwest::{Client, StatusCode, header};
use std::future::Future;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;
use tokio::runtime::Runtime;

/// How many bytes are asked for at once.
const WINDOW_BYTES: u64 = 8 << 20;
/// How long a server may take to answer at all, and to send one window.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const WINDOW_TIMEOUT: Duration = Duration::from_secs(120);

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// Waits for network work.
fn wait<T>(work: impl Future<Output = T>) -> Result<T> {
    let runtime = match RUNTIME.get() {
        Some(runtime) => runtime,
        None => {
            let build = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            let runtime = build.map_err(|cause| Error::io("starting the thread for the network", &cause))?;
            RUNTIME.get_or_init(|| runtime)
        }
    };
    Ok(runtime.block_on(work))
}

/// The engine's own error inside an error of input and output.
pub fn error_within(cause: &io::Error) -> Option<Error> {
    cause.get_ref()?.downcast_ref::<Error>().cloned()
}

/// Gets a range of a file's bytes, or all of them.
pub type Fetch = Box<dyn FnMut(Option<Range<u64>>) -> Result<Bytes> + Send>;

/// Reads a remote file, window by window.
pub struct RemoteReader {
    fetch: Fetch,
    window: Bytes,
    at: u64,
    /// Where reading ends; none if the length of the file is not known, so that
    /// it is got as a whole.
    end: Option<u64>,
    wanted_end: Option<u64>,
    is_whole: bool,
}

impl RemoteReader {
    /// A reader from `start` to `end` of a file of `size` bytes.
    pub fn new(fetch: Fetch, start: u64, end: Option<u64>, size: Option<u64>) -> Self {
        let known_end = size.map(|size| end.map_or(size, |end| end.min(size)));
        RemoteReader { fetch, window: Bytes::new(), at: start, end: known_end, wanted_end: end, is_whole: false }
    }

    fn next_window(&mut self) -> Result<Bytes> {
        match self.end {
            Some(end) if self.at >= end => Ok(Bytes::new()),
            Some(end) => {
                let range = self.at..end.min(self.at + WINDOW_BYTES);
                let bytes = (self.fetch)(Some(range.clone()))?;
                if bytes.is_empty() {
                    return Err(Error::new(ErrorKind::Io, format!("the server sent nothing for bytes {range:?}")));
                }
                self.at += bytes.len() as u64;
                Ok(bytes)
            }
            None if self.is_whole => Ok(Bytes::new()),
            None => {
                self.is_whole = true;
                let bytes = (self.fetch)(None)?;
                let clamp = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                let (start, end) = (clamp(self.at), self.wanted_end.map_or(bytes.len(), clamp));
                Ok(bytes.slice(start.min(end)..end))
            }
        }
    }
}

impl Read for RemoteReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.window.is_empty() {
            self.window = self.next_window().map_err(io::Error::other)?;
        }
        let n = into.len().min(self.window.len());
        into[..n].copy_from_slice(&self.window.split_to(n));
        Ok(n)
    }
}

/// The client of all addresses, which keeps connections open.
fn client() -> Result<&'static Client> {
    static CLIENT: LazyLock<Result<Client, String>> = LazyLock::new(|| {
        let builder = Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(WINDOW_TIMEOUT);
        builder.build().map_err(|cause| cause.to_string())
    });
    CLIENT.as_ref().map_err(|cause| Error::new(ErrorKind::Io, format!("HTTP cannot be used: {cause}")))
}

fn http_failed(url: &str, cause: &reqwest::Error) -> Error {
    // The innermost cause is the one that says something: "Connection refused".
    let mut reason: &dyn std::error::Error = cause;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    let kind = if cause.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Io };
    Error::new(kind, format!("reading '{url}' failed: {reason}"))
}

fn http_status(url: &str, status: StatusCode) -> Error {
    let kind = match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => ErrorKind::NotFound,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Denied,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("reading '{url}' failed: the server answered {status}"))
}

fn with_headers(mut request: reqwest::RequestBuilder, options: &StorageOptions) -> reqwest::RequestBuilder {
    for (name, value) in options.under("headers.") {
        request = request.header(name, value);
    }
    request
}

/// The length of a file of a web server, if it tells and can send ranges.
///
/// # Errors
/// If the server cannot be reached or has no such file.
pub fn http_size(url: &str, options: &StorageOptions) -> Result<Option<u64>> {
    let request = with_headers(client()?.head(url), options);
    // The request is made where the runtime is: it sets its timer at once.
    let answer = wait(async { request.send().await })?.map_err(|cause| http_failed(url, &cause))?;
    match answer.status() {
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(http_status(url, answer.status())),
        // Servers that do not answer HEAD may still answer GET.
        status if !status.is_success() => return Ok(None),
        _ => {}
    }
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let has_ranges = header(header::ACCEPT_RANGES).is_some_and(|unit| unit.contains("bytes"));
    Ok(header(header::CONTENT_LENGTH).and_then(|text| text.parse().ok()).filter(|_| has_ranges))
}

/// Bytes of a file of a web server.
///
/// # Errors
/// If the server cannot be reached or answers with another status than success.
pub fn http_get(url: &str, range: Option<Range<u64>>, options: &StorageOptions) -> Result<Bytes> {
    let mut request = with_headers(client()?.get(url), options);
    if let Some(range) = &range {
        request = request.header(header::RANGE, format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
    }
    let work = async {
        let answer = request.send().await?;
        let status = answer.status();
        let bytes = if status.is_success() { answer.bytes().await? } else { Bytes::new() };
        Ok((status, bytes))
    };
    let (status, bytes) = wait(work)?.map_err(|cause| http_failed(url, &cause))?;
    match (status, range) {
        (StatusCode::OK, Some(range)) => {
            // The server sent all of it.
            let clamp = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            Ok(bytes.slice(clamp(range.start)..clamp(range.end)))
        }
        (status, _) if status.is_success() => Ok(bytes),
        (status, _) => Err(http_status(url, status)),
    }
}

/// The options of S3, as fsspec's users spell them.
const S3_OPTIONS: &[&str] = &[
    "key",
    "username",
    "secret",
    "password",
    "token",
    "anon",
    "endpoint_url",
    "region",
    "use_ssl",
    "client_kwargs.",
    "config_kwargs.",
    "default_block_size",
    "default_cache_type",
    "default_fill_cache",
];

/// A client of a bucket. What the options leave out comes from the environment:
/// `AWS_ACCESS_KEY_ID` and so on.
///
/// # Errors
/// If the options do not fit together.
pub fn s3(bucket: &str, options: &StorageOptions) -> Result<Arc<dyn ObjectStore>> {
    options.check("S3", S3_OPTIONS)?;
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    let mut client = ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT).with_timeout(WINDOW_TIMEOUT);
    if let Some(key) = options.get(&["key", "username", "client_kwargs.aws_access_key_id"]) {
        builder = builder.with_access_key_id(key);
    }
    if let Some(secret) = options.get(&["secret", "password", "client_kwargs.aws_secret_access_key"]) {
        builder = builder.with_secret_access_key(secret);
    }
    if let Some(token) = options.get(&["token", "client_kwargs.aws_session_token"]) {
        builder = builder.with_token(token);
    }
    if let Some(region) = options.get(&["region", "client_kwargs.region_name"]) {
        builder = builder.with_region(region);
    }
    if options.is_true(&["anon"]) {
        builder = builder.with_skip_signature(true);
    }
    if let Some(endpoint) = options.get(&["endpoint_url", "client_kwargs.endpoint_url"]) {
        builder = builder.with_endpoint(endpoint);
        client = client.with_allow_http(endpoint.starts_with("http://"));
    }
    let is_false = |name| options.get(&[name]).is_some_and(|value| matches!(value, "false" | "False" | "0"));
    if is_false("use_ssl") {
        client = client.with_allow_http(true);
    }
    if is_false("client_kwargs.verify") {
        client = client.with_allow_invalid_certificates(true);
    }
    let retry = RetryConfig { max_retries: 3, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() };
    let store = builder.with_client_options(client).with_retry(retry).build();
    Ok(Arc::new(store.map_err(|cause| Error::value(format!("the bucket '{bucket}' cannot be used: {cause}")))?))
}

fn store_failed(cause: &object_store::Error) -> Error {
    let kind = match cause {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => ErrorKind::Denied,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("reading an object failed: {cause}"))
}

fn path_of(key: &str) -> Result<object_store::path::Path> {
    object_store::path::Path::parse(key)
        .map_err(|cause| Error::value(format!("'{key}' is no name of an object: {cause}")))
}

/// The length of an object.
///
/// # Errors
/// If it is not there or the store refuses.
pub fn object_size(store: &Arc<dyn ObjectStore>, key: &str) -> Result<u64> {
    let path = path_of(key)?;
    wait(store.head(&path))?.map(|meta| meta.size).map_err(|cause| store_failed(&cause))
}

/// Bytes of an object.
///
/// # Errors
/// If it is not there or the store refuses.
pub fn object_get(store: &Arc<dyn ObjectStore>, key: &str, range: Option<Range<u64>>) -> Result<Bytes> {
    let path = path_of(key)?;
    let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
    let work = async { store.get_opts(&path, options).await?.bytes().await };
    wait(work)?.map_err(|cause| store_failed(&cause))
}

/// Writes an object.
///
/// # Errors
/// If the store refuses.
pub fn object_put(store: &Arc<dyn ObjectStore>, key: &str, bytes: Vec<u8>) -> Result<()> {
    let path = path_of(key)?;
    let failed = |cause| Error::new(ErrorKind::Io, format!("writing an object failed: {cause}"));
    wait(store.put(&path, bytes.into()))?.map(|_| ()).map_err(failed)
}

/// All names below a folder.
///
/// # Errors
/// If the store refuses.
pub fn object_list(store: &Arc<dyn ObjectStore>, folder: &str) -> Result<Vec<String>> {
    let path = path_of(folder)?;
    let mut listing = store.list((!folder.is_empty()).then_some(&path));
    let work = async {
        let mut names = Vec::new();
        while let Some(next) = std::future::poll_fn(|context| listing.as_mut().poll_next(context)).await {
            names.push(next?.location.to_string());
        }
        Ok(names)
    };
    wait(work)?.map_err(|cause: object_store::Error| store_failed(&cause))
}

#[cfg(test)]
mod tests {
    use crate::{Location, StorageOptions};
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    /// Serves one text to `n` requests, with ranges; answers the address.
    fn served(text: &'static str, n: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/text", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().take(n) {
                let mut stream = stream.unwrap();
                let head: Vec<String> =
                    BufReader::new(&stream).lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
                let range = head
                    .iter()
                    .find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
                let (start, end) = range
                    .as_deref()
                    .and_then(|range| range.split_once('-'))
                    .map_or((0, text.len()), |(a, b)| (a.parse().unwrap(), b.parse::<usize>().unwrap() + 1));
                let (status, body) =
                    if head[0].contains("/text") { ("206 Partial", &text[start..end]) } else { ("404 Not Found", "") };
                let length = body.len();
                let fields = format!("Content-Length: {length}\r\nAccept-Ranges: bytes\r\nConnection: close\r\n");
                let body = if head[0].starts_with("HEAD") { "" } else { body };
                write!(stream, "HTTP/1.1 {status}\r\n{fields}\r\n{body}").unwrap();
            }
        });
        address
    }

    #[test]
    fn ranges_of_a_web_server_are_read() {
        let options = StorageOptions::default();
        let address = served("one\ntwo\nthree\n", 5);
        let location = Location::parse(&address, &options).unwrap();
        assert_eq!(location.size(&options).unwrap(), Some(14));
        assert_eq!(&location.read(0, None, &options).unwrap()[..], b"one\ntwo\nthree\n");
        assert_eq!(&location.read(4, Some(7), &options).unwrap()[..], b"two");
    }

    #[test]
    fn addresses_that_fail_are_named() {
        let options = StorageOptions::default();
        let missing = served("", 1).replace("/text", "/none");
        for (address, reason) in [(missing.as_str(), "404"), ("http://127.0.0.1:1/x", "refused")] {
            let error = Location::parse(address, &options).unwrap().size(&options).unwrap_err().to_string();
            assert!(error.contains(address) && error.contains(reason), "{error}");
        }
    }
}
