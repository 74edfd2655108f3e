// Cursors of the store's lists: one that is none of the list's is refused, every other gives a page of at most what was asked for, and the
// next page's cursor is accepted.   first byte: which list; then the cursor
#include "fuzz/target.h"
#include "store/sqlite/sqlite_store.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;

namespace {

constexpr int kLimit = 3;

// A few endpoints and events, delivered, dead and pending, in order and not.
class Subject {
 public:
  Subject() : store_(open_sqlite_store({.path = folder_ / "outbox.db"})) {
    for (int i = 0; i < 5; ++i)
      endpoints_.push_back(apply(CreateEndpoint{test::shared(test::new_endpoint())}));
    for (int i = 0; i < 8; ++i) {
      const NewEvent dying = test::new_event({3, 4});
      apply(test::accepting({test::keyed(test::new_event({1, 2}), "key"), dying}));
      if (i % 2 == 0) apply(test::died({dying.event->seq, 3}, 1));
    }
    reader_ = store_->new_reader();
  }

  StoreReader& reader() { return *reader_; }
  const EndpointId& endpoint(std::size_t i) { return endpoints_.at(i)->id; }

 private:
  template <class C>
  typename C::Answer apply(C command) {
    const auto done = test::apply(*store_, std::move(command));
    HOLDS(done.has_value());
    return *done;
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
  std::vector<EndpointPtr> endpoints_;
  std::unique_ptr<StoreReader> reader_;
};

template <class Row>
std::optional<std::string> checked(const Result<Rows<Row>>& page) {
  if (!page) {
    HOLDS(page.error().code == ProblemCode::kInvalidParameter);
    return std::nullopt;
  }
  HOLDS(page->rows.size() <= kLimit);
  return page->next.value_or("");
}

// The next cursor, "" at the end, absent when `cursor` was refused.
std::optional<std::string> read_page(Subject& subject, int list, const std::string& cursor) {
  const Page page{.limit = kLimit, .after = cursor};
  StoreReader& reader = subject.reader();
  DeliveryFilter filter;
  switch (list % 6) {
    case 0:
      return checked(reader.endpoints(std::nullopt, page));
    case 1:
      return checked(reader.events({}, page));
    case 2:
      return checked(reader.deliveries(filter, page));
    case 3:
      filter.state = DeliveryState::kDead;
      return checked(reader.deliveries(filter, page));
    case 4:
      filter.state = DeliveryState::kPending;
      filter.endpoint = subject.endpoint(0);
      return checked(reader.deliveries(filter, page));
    default:
      return checked(reader.rejected_outbox(page));
  }
}

}  // namespace

FUZZ_TARGET(input) {
  static Subject subject;
  if (input.empty()) return;
  const int list = static_cast<unsigned char>(input[0]);
  const auto next = read_page(subject, list, std::string(input.substr(1)));
  if (next && !next->empty()) HOLDS(read_page(subject, list, *next).has_value());
}
