// Hands an event to outboxd over HTTP or its Unix socket, with the standard library alone: the few
// lines of HTTP are written by hand. With the crate rusqlite, an INSERT INTO outbox in your
// transaction does it too.
//   rustc enqueue.rs
//   ./enqueue http http://127.0.0.1:8877 42
//   ./enqueue unix /run/outboxd/ingest.sock 42
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Returns the answer when the event is on disk. No answer? Send the same again: its key makes that
/// safe.
fn enqueue(
    mut connection: impl Read + Write,
    host: &str,
    event: &str,
) -> Result<String, Box<dyn Error>> {
    write!(
        connection,
        "POST /v1/events HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{event}",
        event.len()
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let (head, text) = answer
        .split_once("\r\n\r\n")
        .ok_or("outboxd did not answer")?;
    match head.split(' ').nth(1) {
        Some("202" | "200") => Ok(text.to_string()),
        _ => Err(format!("outboxd answered: {answer}").into()),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (way, place, number) = match arguments.as_slice() {
        [way, place, number] => (way, place, number),
        _ => return Err("usage: enqueue http URL ORDER | enqueue unix SOCKET ORDER".into()),
    };
    let order: u64 = number.parse()?;
    let event = format!(
        r#"{{"type": "order.paid", "payload": {{"order": {order}, "cents": 1250}},
            "idempotency_key": "order-{order}-paid"}}"#
    );
    let patience = Some(Duration::from_secs(10));
    let answer = if way == "unix" {
        let connection = UnixStream::connect(place)?;
        connection.set_read_timeout(patience)?;
        enqueue(connection, "localhost", &event)?
    } else {
        let host = place
            .strip_prefix("http://")
            .ok_or("the URL begins with http://")?;
        let connection = TcpStream::connect(host)?;
        connection.set_read_timeout(patience)?;
        enqueue(connection, host, &event)?
    };
    println!("{answer}");
    Ok(())
}
