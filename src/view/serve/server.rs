//! Answers browsers: the page, the state, and the stream of what changes. Nothing that is asked here changes anything.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use futures_util::Stream;
use futures_util::stream::unfold;
use jiff::tz::TimeZone;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::frames::{Frame, Told};
use super::gate::Gate;
use super::guard;
use super::moment::{Line, Moment};
use super::page;
use crate::run::Record;

/// So many lines of the log are kept for a browser that comes.
const LINES: usize = 200;
/// A browser that hears nothing for longer than a proxy or tunnel waits would be cut off.
const ALIVE: Duration = Duration::from_secs(15);

/// What every browser is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// The JSON form of a [`Moment`].
    state: Arc<Value>,
    /// The last lines of the log, oldest first.
    lines: VecDeque<Line>,
}

impl Shown {
    /// The same at another moment.
    pub fn set(&mut self, moment: &Moment) {
        self.state = Arc::new(serde_json::to_value(moment).unwrap_or_default());
    }

    /// Adds what happened since.
    pub fn tell(&mut self, records: &[Record], zone: &TimeZone) {
        let lines = records.iter().filter_map(|record| Line::of(record, zone));
        self.lines.extend(lines);
        let surplus = self.lines.len().saturating_sub(LINES);
        self.lines.drain(..surplus);
    }

    /// Forgets what happened: the journal was begun anew.
    pub fn forget(&mut self) {
        self.lines.clear();
    }
}

/// What all requests share.
#[derive(Clone)]
struct Desk {
    shown: watch::Receiver<Arc<Shown>>,
}

/// Listens at a port of 127.0.0.1, 0 for a free one, and nowhere else.
///
/// # Errors
/// The port is taken, or not for this user.
pub async fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

/// Answers browsers of this user until the process ends.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    shown: watch::Receiver<Arc<Shown>>,
    user: u32,
) -> io::Result<()> {
    let desk = Desk { shown };
    let router = Router::new()
        .route("/", get(|| async { Html(page::HTML.as_str()) }))
        .route("/state", get(state))
        .route("/events", get(events))
        .fallback(|| async { (StatusCode::NOT_FOUND, "there is nothing here\n") })
        .layer(middleware::from_fn(watch_over))
        .with_state(desk);
    axum::serve(Gate::new(listener, user), router).await
}

/// Refuses who may not look, and what is more than a look; says to the browser what it may do with the answer.
async fn watch_over(request: Request, next: Next) -> Response {
    let named = request.headers().get(header::HOST);
    let named = named.and_then(|value| value.to_str().ok());
    let mut response = match guard::host(named) {
        Err(refusal) => (StatusCode::FORBIDDEN, format!("{refusal}\n")).into_response(),
        Ok(()) if request.method() != Method::GET => {
            let allow = [(header::ALLOW, "GET")];
            (StatusCode::METHOD_NOT_ALLOWED, allow, "look only: GET\n").into_response()
        }
        Ok(()) => next.run(request).await,
    };
    let policy = HeaderValue::from_str(&page::POLICY);
    let policy = policy.unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in [
        (header::CACHE_CONTROL.as_str(), "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS.as_str(), "nosniff"),
        (header::REFERRER_POLICY.as_str(), "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn state(State(desk): State<Desk>) -> Response {
    let state = desk.shown.borrow().state.to_string();
    ([(header::CONTENT_TYPE, "application/json")], state).into_response()
}

async fn events(State(desk): State<Desk>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let began = (desk.shown, Told::default(), VecDeque::new(), true);
    let stream = unfold(began, async |(mut shown, mut told, mut frames, first)| {
        let mut due = first;
        while frames.is_empty() {
            if !due {
                shown.changed().await.ok()?;
            }
            due = false;
            let now = Arc::clone(&shown.borrow_and_update());
            let (lines, more) = now.lines.as_slices();
            frames.extend(told.news(&now.state, &[lines, more].concat()));
        }
        let frame: Frame = frames.pop_front()?;
        Some((Ok(event(frame)), (shown, told, frames, false)))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE))
}

fn event(frame: Frame) -> Event {
    let event = Event::default().event(frame.name).data(frame.data);
    match frame.id {
        Some(id) => event.id(id.to_string()),
        None => event,
    }
}
