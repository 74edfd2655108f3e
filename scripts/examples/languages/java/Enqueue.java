// Hands an event to outboxd, in each of its three ways. Java 16; SQL with a JDBC driver for SQLite.
//   java Enqueue.java http http://127.0.0.1:8877 42
//   java Enqueue.java unix /run/outboxd/ingest.sock 42
//   java -cp sqlite-jdbc.jar Enqueue.java sql app.db 42
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.URI;
import java.net.UnixDomainSocketAddress;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;

public class Enqueue {
  /** Returns when the event is on disk. No answer? Send the same again: its key makes that safe. */
  static String overHttp(String base, String event) throws IOException, InterruptedException {
    var client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    var request = HttpRequest.newBuilder(URI.create(base + "/v1/events"))
        .timeout(Duration.ofSeconds(10))
        .header("Content-Type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofString(event))
        .build();
    var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
    return checked(answer.statusCode(), answer.body());
  }

  /** The same over the Unix socket. HttpClient cannot do that: the request is written by hand. */
  static String overUnixSocket(String path, String event) throws IOException {
    byte[] body = event.getBytes(UTF_8);
    String head = "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        + "Content-Type: application/json\r\nContent-Length: " + body.length + "\r\n\r\n";
    try (var channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
      channel.connect(UnixDomainSocketAddress.of(path));
      for (byte[] part : new byte[][] {head.getBytes(UTF_8), body}) {
        for (var bytes = ByteBuffer.wrap(part); bytes.hasRemaining();) channel.write(bytes);
      }
      String answer = new String(Channels.newInputStream(channel).readAllBytes(), UTF_8);
      if (!answer.startsWith("HTTP/1.1 ")) throw new IOException("outboxd did not answer");
      int headEnds = answer.indexOf("\r\n\r\n");
      return checked(Integer.parseInt(answer.substring(9, 12)), answer.substring(headEnds + 4));
    }
  }

  static String checked(int status, String answer) throws IOException {
    if (status == 202 || status == 200) return answer;
    throw new IOException("outboxd answered " + status + ": " + answer);
  }

  /** The event exists exactly if the order is paid: one transaction. */
  static void payOrder(String database, long order) throws SQLException {
    try (var db = DriverManager.getConnection("jdbc:sqlite:" + database);
        var statement = db.createStatement()) {
      statement.execute("PRAGMA busy_timeout = 5000");
      db.setAutoCommit(false);
      try (var pay = db.prepareStatement("UPDATE orders SET state = 'paid' WHERE id = ?");
          var enqueue = db.prepareStatement("INSERT INTO outbox(type, payload) VALUES (?, ?)")) {
        pay.setLong(1, order);
        pay.executeUpdate();
        enqueue.setString(1, "order.paid");
        enqueue.setString(2, payload(order));
        enqueue.executeUpdate();
        db.commit();
      } catch (SQLException error) {
        db.rollback();
        throw error;
      }
    }
  }

  static String payload(long order) {
    return "{\"order\": " + order + ", \"cents\": 1250}";
  }

  public static void main(String[] args) throws Exception {
    String way = args[0], where = args[1];
    long order = Long.parseLong(args[2]);
    String event = "{\"type\": \"order.paid\", \"payload\": " + payload(order)
        + ", \"idempotency_key\": \"order-" + order + "-paid\"}";
    switch (way) {
      case "http" -> System.out.println(overHttp(where, event));
      case "unix" -> System.out.println(overUnixSocket(where, event));
      default -> payOrder(where, order);
    }
  }
}
