# Hands an event to outboxd, in each of its three ways (SQL: with the gem sqlite3).
#   ruby enqueue.rb http http://127.0.0.1:8877 42
#   ruby enqueue.rb unix /run/outboxd/ingest.sock 42
#   ruby enqueue.rb sql app.db 42
require "json"
require "net/http"
require "socket"

def request_with(event)
  request = Net::HTTP::Post.new("/v1/events", "Content-Type" => "application/json",
                                              "Host" => "localhost")
  request.body = JSON.generate(event)
  request
end

# Both return when the event is on disk. No answer? Send the same again: its key makes that safe.
def enqueue_over_http(base, event)
  uri = URI(base)
  checked(Net::HTTP.start(uri.host, uri.port, read_timeout: 10) do |http|
    http.request(request_with(event))
  end)
end

def enqueue_over_unix_socket(path, event)
  UNIXSocket.open(path) do |socket|
    io = Net::BufferedIO.new(socket, read_timeout: 10)
    request = request_with(event)
    request.exec(io, "1.1", request.path)
    answer = Net::HTTPResponse.read_new(io)
    answer.reading_body(io, true) { answer.body }
    checked(answer)
  end
end

def checked(answer)
  raise "outboxd answered #{answer.code}: #{answer.body}" unless %w[200 202].include?(answer.code)

  JSON.parse(answer.body)
end

# The event exists exactly if the order is paid: one transaction.
def pay_order(database, order)
  require "sqlite3"
  db = SQLite3::Database.new(database)
  db.busy_timeout = 5000
  db.transaction(:immediate) do
    db.execute("UPDATE orders SET state = 'paid' WHERE id = ?", [order])
    db.execute("INSERT INTO outbox(type, payload) VALUES ('order.paid', ?)",
               [JSON.generate(order: order, cents: 1250)])
  end
ensure
  db&.close
end

way, where, number = ARGV
order = Integer(number, 10)
event = { type: "order.paid", payload: { order: order, cents: 1250 },
          idempotency_key: "order-#{order}-paid" }
case way
when "http" then puts enqueue_over_http(where, event)["id"]
when "unix" then puts enqueue_over_unix_socket(where, event)["id"]
when "sql" then pay_order(where, order)
end
