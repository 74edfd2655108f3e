/* The protocol by which daemons share the partitions over one PostgreSQL, for spin: one partition, one delivery of it,
 * two daemons, each of which joins anew as often as it has to. tests/ownership/model_test.py has it checked, and breaks
 * it line by line to see that the checker would notice.
 *
 * What a daemon does is several processes here, one for each of its threads that may be slow on its own. Any step may
 * come as late as it likes, so a stopped process is no fault of its own. Time passes in ticks; WINDOW of them are the
 * trust window. Faults are bounded by FAULTS, in any order and at any moment:
 *
 *   a daemon is killed                and starts again, or does not
 *   the session with the lock ends    the server is rid of it (cut, silent for too long); the daemon notices when it notices
 *   the writer's connection is lost   before COMMIT was sent the server rolls back; after it nobody knows
 *   a transaction is rolled back      by a timeout of the server's
 *   the trust window lapses           the daemon was too slow to write
 *   a daemon is cut off               its server has no standby any more, reads for it and commits nothing, while
 *                                     another primary has what was committed, and no locks
 *
 * What the model leaves out: time between the look at the clock and the
 * first byte of a request (there a stopped process sends one request late), and asynchronous replication, which loses
 * commits. */

#define DAEMONS 2
#define TOKENS 4 /* 1 to 4, used again once nothing remembers them; 0: none */
#define WINDOW 2
#ifndef MAX_ATTEMPTS
#define MAX_ATTEMPTS 2
#endif
#ifndef ordered
#define ordered 1
#endif
#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef MOVES
#define MOVES 1
#endif

/* The database. */
mtype = { pending, delivered, dead };
mtype delivery = pending;
byte attempts;         /* recorded */
byte owner;            /* of the partition, by its row: a token */
byte lock;             /* who holds the advisory lock: the token of a session that the server knows */
bit fenced[TOKENS + 1];

/* A transaction of a member's writer. It holds the member's row FOR SHARE from its first statement on. */
mtype = { idle, begun, committing, committed, rolled_back };
mtype transaction[TOKENS + 1] = idle;
mtype = { nothing, success, failure };
mtype outcome[TOKENS + 1] = nothing; /* what the transaction records; nothing: a heartbeat */
bit recorded[TOKENS + 1];            /* this attempt's id is among those recorded */

/* The daemons. */
mtype = { outside, joined, locked, claimed, owning, leaving, letting_go };
mtype phase[DAEMONS] = outside;
byte token[DAEMONS];
mtype = { none, held, sending, answered };
mtype work[DAEMONS] = none; /* what it has in memory of the delivery */
byte trust[DAEMONS];        /* ticks left */
byte age[DAEMONS];          /* ticks since the transaction under way began */
byte hold_back[DAEMONS];    /* ticks until an ordered delivery may be sent */
bit session[DAEMONS];       /* the server knows its session with the lock */
bit cut_off[DAEMONS];
bit reads_former[DAEMONS];  /* from a server that was cut off */
bit was_pending[DAEMONS];   /* the delivery, when it was */
bit unsure[DAEMONS];        /* its writer lost the connection and does not know what became of the transaction */
bit unclean[DAEMONS];       /* another may still send, for a window, for what it has claimed */

/* The ledger: what the properties are about. */
byte sends;
byte faults_left = FAULTS;
byte repeats_allowed; /* one for each fault, and for each transfer that was aborted */
byte moves_left = MOVES;
bit overtaken[TOKENS + 1]; /* one who claimed the partition later has begun to send */

#define is_member(m) (token[m] != 0)
#define its_transaction(m) transaction[token[m]]
#define under_way(m) (work[m] == sending || work[m] == answered)

/* The properties; which of them is broken is what the checker prints. */
bit two_record, recorded_after_the_end, recorded_twice, two_send_what_is_ordered, repeated_without_fault;
#ifdef LOOK_FOR /* one of them only */
#define never(broken, condition) broken = (condition); assert(!LOOK_FOR)
#else
#define never(broken, condition) broken = (condition); assert(!broken)
#endif

inline commit(t) {
  transaction[t] = committed;
  if
  :: outcome[t] != nothing && !recorded[t] ->
     never(two_record, owner != t);
     never(recorded_after_the_end, delivery != pending);
     recorded[t] = 1;
     attempts++;
     never(recorded_twice, attempts > sends);
     if
     :: outcome[t] == success -> delivery = delivered
     :: outcome[t] == failure && attempts >= MAX_ATTEMPTS -> delivery = dead
     :: else
     fi
  :: else
  fi
}

/* A token that nothing remembers stands for a new, random one. */
#define unused(t) (token[0] != t && token[1] != t && owner != t && lock != t && transaction[t] == idle)
inline forget(t) {
  if
  :: unused(t) -> fenced[t] = 0; recorded[t] = 0; outcome[t] = nothing; overtaken[t] = 0
  :: else
  fi
}
inline forget_the_unused() { forget(1); forget(2); forget(3); forget(4) }

/* The daemon drops everything, closes its connections, and will join anew under another token. What it has sent COMMIT
 * for is still between the server and the disk. */
inline drop_everything(m) {
  if
  :: its_transaction(m) != committing -> its_transaction(m) = idle
  :: else
  fi;
  if
  :: lock == token[m] -> lock = 0
  :: else
  fi;
  token[m] = 0; phase[m] = outside; work[m] = none;
  trust[m] = 0; age[m] = 0; hold_back[m] = 0;
  session[m] = 0; cut_off[m] = 0; unsure[m] = 0; unclean[m] = 0;
  reads_former[m] = 0; was_pending[m] = 0;
  forget_the_unused()
}

inline join(m, t) { token[m] = t; session[m] = 1; phase[m] = joined }

/* The thread that holds the session with the lock. */
proctype Ownership(byte m) {
  do
  :: atomic { !is_member(m) && unused(1) -> join(m, 1) }
  :: atomic { !is_member(m) && !unused(1) && unused(2) -> join(m, 2) }
  :: atomic { !is_member(m) && !unused(1) && !unused(2) && unused(3) -> join(m, 3) }
  :: atomic { !is_member(m) && !unused(1) && !unused(2) && !unused(3) && unused(4) -> join(m, 4) }

  /* It notices that the session is lost. Nothing new is sent; what is under way may end, and be recorded if nobody has
   * taken over. Then it joins anew, and what its former token owned is given back. */
  :: atomic { is_member(m) && phase[m] != letting_go && (!session[m] || cut_off[m]) ->
       unsure[m] = unsure[m] || (cut_off[m] && its_transaction(m) == committed);
       session[m] = 0; cut_off[m] = 0; unclean[m] = 0;
       work[m] = (under_way(m) -> work[m] : none);
       phase[m] = letting_go }
  :: atomic { phase[m] == letting_go && !under_way(m) && its_transaction(m) == idle ->
       if
       :: owner == token[m] && hold_back[m] == 0 -> owner = 0
       :: else
       fi;
       drop_everything(m) }

  :: atomic { phase[m] == joined && session[m] && !cut_off[m] && lock == 0 ->
       lock = token[m]; phase[m] = locked }

  /* Fences whoever the row names; the UPDATE waits for that member's transaction under way. On the session that has the
   * lock, so that nobody claims who has lost it, and a lost answer is a lost session. */
  :: atomic { phase[m] == locked && session[m] && !cut_off[m] && !fenced[token[m]] &&
              transaction[owner] != begun && transaction[owner] != committing ->
       unclean[m] = (owner != 0);
       fenced[owner] = (owner != 0);
       owner = token[m]; overtaken[token[m]] = 0;
       forget_the_unused();
       phase[m] = claimed }
  :: atomic { phase[m] == locked && !cut_off[m] && fenced[token[m]] -> drop_everything(m) }

  :: atomic { phase[m] == claimed && !cut_off[m] ->
       hold_back[m] = (unclean[m] && ordered -> WINDOW : 0); unclean[m] = 0; phase[m] = owning }

  /* To another who has less: nothing new is sent, and what is under way is recorded first. */
  :: atomic { phase[m] == owning && moves_left > 0 -> moves_left--; phase[m] = leaving }
  :: atomic { phase[m] == leaving && !cut_off[m] && !fenced[token[m]] && !under_way(m) && hold_back[m] == 0 &&
              its_transaction(m) == idle ->
       if
       :: owner == token[m] -> owner = 0
       :: else
       fi;
       if
       :: lock == token[m] -> lock = 0
       :: else
       fi;
       work[m] = none; phase[m] = joined }
  od
}

/* The writer's thread. */
proctype Writer(byte m) {
  do
  :: atomic { is_member(m) && !cut_off[m] && its_transaction(m) == idle &&
              ((trust[m] < WINDOW && phase[m] != letting_go) || work[m] == answered) ->
       if
       :: fenced[token[m]] -> drop_everything(m)
       :: else ->
          if
          :: work[m] == answered -> outcome[token[m]] = success
          :: work[m] == answered -> outcome[token[m]] = failure
          :: work[m] != answered -> outcome[token[m]] = nothing
          fi;
          age[m] = 0;
          its_transaction(m) = begun
       fi }
  :: atomic { is_member(m) && !cut_off[m] && its_transaction(m) == begun -> its_transaction(m) = committing }
  :: atomic { is_member(m) && its_transaction(m) == committing -> commit(token[m]) }

  :: atomic { is_member(m) && !cut_off[m] && its_transaction(m) == committed && !unsure[m] ->
       trust[m] = (WINDOW - age[m] > trust[m] -> WINDOW - age[m] : trust[m]);
       if
       :: outcome[token[m]] != nothing -> work[m] = none
       :: else
       fi;
       outcome[token[m]] = nothing; its_transaction(m) = idle; age[m] = 0 }
  :: atomic { is_member(m) && !cut_off[m] && its_transaction(m) == rolled_back && !unsure[m] ->
       outcome[token[m]] = nothing; its_transaction(m) = idle; age[m] = 0 }
  /* What is unknown is applied again. The rows that the first try has locked make it wait for the end of that. */
  :: atomic { is_member(m) && !cut_off[m] && unsure[m] &&
              (its_transaction(m) == committed || its_transaction(m) == rolled_back) ->
       outcome[token[m]] = nothing; its_transaction(m) = idle; age[m] = 0; unsure[m] = 0 }
  od
}

inline overtake(t, m) {
  overtaken[t] = overtaken[t] || (t != token[m] && t != owner)
}

/* Backlog and delivery. */
proctype Delivery(byte m) {
  do
  :: atomic { phase[m] == owning && work[m] == none &&
              (reads_former[m] -> was_pending[m] : delivery == pending) -> work[m] = held }
  :: atomic { phase[m] == owning && work[m] == held && trust[m] > 0 && hold_back[m] == 0 ->
       work[m] = sending; recorded[token[m]] = 0; sends++;
       never(two_send_what_is_ordered, ordered && overtaken[token[m]]);
       never(repeated_without_fault, sends > attempts + 1 + repeats_allowed);
       overtake(1, m); overtake(2, m); overtake(3, m); overtake(4, m) }
  :: atomic { work[m] == sending -> work[m] = answered }
  od
}

/* What the server does with a COMMIT of one who is gone. */
proctype Server() {
  do
  :: atomic { transaction[1] == committing && token[0] != 1 && token[1] != 1 -> commit(1); transaction[1] = idle; forget(1) }
  :: atomic { transaction[2] == committing && token[0] != 2 && token[1] != 2 -> commit(2); transaction[2] = idle; forget(2) }
  :: atomic { transaction[3] == committing && token[0] != 3 && token[1] != 3 -> commit(3); transaction[3] = idle; forget(3) }
  :: atomic { transaction[4] == committing && token[0] != 4 && token[1] != 4 -> commit(4); transaction[4] = idle; forget(4) }
  od
}

/* That the window of a daemon lapses which only had to write is a fault. Who is fenced or cut off has had its fault: it
 * may be stopped for as long as it likes. */
#define lapses(m) (is_member(m) && !cut_off[m] && !fenced[token[m]] && trust[m] == 1 -> 1 : 0)
inline fault() { faults_left--; repeats_allowed++ }
inline pass(m) {
  if
  :: lapses(m) -> faults_left--
  :: else
  fi;
  trust[m] = (trust[m] > 0 -> trust[m] - 1 : 0);
  hold_back[m] = (hold_back[m] > 0 -> hold_back[m] - 1 : 0);
  age[m] = (its_transaction(m) != idle && age[m] < WINDOW -> age[m] + 1 : age[m]);
  /* Past the window transfers are aborted. */
  if
  :: trust[m] == 0 && work[m] == sending -> work[m] = none; repeats_allowed = repeats_allowed + !cut_off[m]
  :: else
  fi
}
/* In the end all is calm: daemons are quick, so that nothing lapses and no transaction takes as long as a tick. */
bit calm;
#define writes(m) (!cut_off[m] && its_transaction(m) != idle)
proctype Time() {
  do
  :: atomic { lapses(0) + lapses(1) <= faults_left && !(calm && (writes(0) || writes(1))) -> pass(0); pass(1) }
  od
}

inline may_fail(m) {
  if
  :: is_member(m) -> drop_everything(m)
  :: session[m] ->
     session[m] = 0;
     if
     :: lock == token[m] -> lock = 0
     :: else
     fi
  :: is_member(m) && its_transaction(m) == begun -> its_transaction(m) = rolled_back
  :: is_member(m) && its_transaction(m) == begun -> its_transaction(m) = rolled_back; unsure[m] = 1
  :: is_member(m) && its_transaction(m) == committing -> its_transaction(m) = rolled_back
  :: is_member(m) && (its_transaction(m) == committing || its_transaction(m) == committed) -> unsure[m] = 1
  :: is_member(m) && !cut_off[m] ->
     cut_off[m] = 1; reads_former[m] = 1; was_pending[m] = (delivery == pending); session[m] = 0;
     if
     :: lock == token[m] -> lock = 0
     :: else
     fi;
     if
     :: its_transaction(m) == committing -> commit(token[m])
     :: its_transaction(m) == committing || its_transaction(m) == begun -> its_transaction(m) = rolled_back
     :: else
     fi
  fi;
  fault()
}
proctype Faults() {
  do
  :: atomic { faults_left > 0 && is_member(0) -> may_fail(0) }
  :: atomic { faults_left > 0 && is_member(1) -> may_fail(1) }
#ifdef CALM
  :: atomic { faults_left = 0; calm = 1; break }
#endif
  od
}

init {
  atomic {
    join(0, 1); trust[0] = WINDOW; owner = 1; lock = 1; phase[0] = owning;
    join(1, 2); trust[1] = WINDOW;
    run Ownership(0); run Ownership(1);
    run Writer(0); run Writer(1);
    run Delivery(0); run Delivery(1);
    run Server(); run Time(); run Faults()
  }
}

ltl what_is_accepted_ends { <> (delivery == delivered || delivery == dead) }
