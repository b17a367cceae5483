/** What is under way with a terminal, counted where it passes. @module */

/** Every call is use of the terminal at that moment. */
export abstract class UseCount {
  /** HTTP requests. */
  inFlight = 0;
  /** WebSockets that are joined with it. */
  sockets = 0;

  /** A byte was proxied, either direction. */
  abstract touch(): void;

  /** An HTTP request begins; `end` must follow. */
  begin(): void {
    this.inFlight += 1;
    this.touch();
  }

  end(): void {
    this.inFlight -= 1;
    this.touch();
  }

  /** A WebSocket is joined with it; `part` must follow. */
  join(): void {
    this.sockets += 1;
    this.touch();
  }

  part(): void {
    this.sockets -= 1;
    this.touch();
  }
}
