// Hands an event to outboxd over HTTP or its Unix socket. Go has no SQLite driver of its own: with
// one, an INSERT INTO outbox in your transaction does it too.
//
//	go run enqueue.go http http://127.0.0.1:8877 42
//	go run enqueue.go unix /run/outboxd/ingest.sock 42
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

type event struct {
	Type           string `json:"type"`
	Payload        any    `json:"payload"`
	IdempotencyKey string `json:"idempotency_key,omitempty"`
}

type order struct {
	Order int64 `json:"order"`
	Cents int64 `json:"cents"`
}

// enqueue returns when the event is on disk. No answer? Send the same again: its key makes that
// safe.
func enqueue(client *http.Client, base string, e event) (id string, err error) {
	body, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	answer, err := client.Post(base+"/v1/events", "application/json", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	if answer.StatusCode != http.StatusAccepted && answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("outboxd answered %s: %s", answer.Status, text)
	}
	var accepted struct {
		ID string `json:"id"`
	}
	return accepted.ID, json.Unmarshal(text, &accepted)
}

// unixClient sends every request to one Unix socket, whatever the URL's host.
func unixClient(path string) *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: 10 * time.Second}
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: enqueue http URL ORDER | enqueue unix SOCKET ORDER")
	}
	way, where := os.Args[1], os.Args[2]
	number, err := strconv.ParseInt(os.Args[3], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	client, base := &http.Client{Timeout: 10 * time.Second}, where
	if way == "unix" {
		client, base = unixClient(where), "http://localhost"
	}
	id, err := enqueue(client, base, event{
		Type:           "order.paid",
		Payload:        order{Order: number, Cents: 1250},
		IdempotencyKey: fmt.Sprintf("order-%d-paid", number),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(id)
}
