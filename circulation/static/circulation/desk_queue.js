/* The Desk's queue: scans are posted one by one in their order, and none is lost without a connection. */

/* No answer, or none that the page can use: the queue stands still until staff go on or discard. */
class DeskStuckError extends Error {
  constructor(message, isSignedOut = false) {
    super(message);
    this.isSignedOut = isSignedOut;
  }
}

class DeskQueue {
  static TIMEOUT_MS = 30000;
  #jobs = [];
  #isWorking = false;

  constructor(desk, announce) {
    this.desk = desk;
    this.texts = desk.dataset;
    this.announce = announce;
    this.isStuck = false;
  }

  get isEmpty() {
    return this.#jobs.length === 0;
  }

  /* `run` is awaited when its turn comes; `text` is what staff typed, shown while it waits. */
  add(run, text = "") {
    this.#jobs.push({ run, text });
    this.#show();
    this.#work();
  }

  /* For the job that runs now: the next one comes before all that waits. */
  addNext(run, text) {
    this.#jobs.splice(1, 0, { run, text });
  }

  goOn() {
    if (!this.isStuck) return;
    this.isStuck = false;
    this.#part("problem").hidden = true;
    this.#work();
  }

  discard() {
    this.#jobs.length = 0;
    this.goOn();
    this.#show();
    this.announce(this.texts.sayDiscarded);
  }

  /* Return the answer, with `isRefused` where the server said no. Throws DeskStuckError. */
  async post(url, fields) {
    let response, answer;
    try {
      response = await fetch(url, {
        method: "POST",
        body: new URLSearchParams(fields),
        headers: { "X-CSRFToken": this.#csrfToken(), Accept: "application/json" },
        signal: AbortSignal.timeout(DeskQueue.TIMEOUT_MS),
      });
      answer = await response.text();
    } catch {
      throw new DeskStuckError(this.texts.sayOffline);
    }
    if (response.status === 401) throw new DeskStuckError(this.texts.saySignedOut, true);
    const type = response.headers.get("Content-Type") || "";
    if (type.startsWith("application/json")) return { isRefused: !response.ok, ...JSON.parse(answer) };
    throw new DeskStuckError(
      response.status === 403 ? this.texts.sayForbidden : this.texts.sayFailed,
    );
  }

  /* The cookie first: signing in again in another tab has made the page's own token stale. */
  #csrfToken() {
    const cookie = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
    return cookie ? cookie[1] : this.desk.querySelector("[name=csrfmiddlewaretoken]").value;
  }

  async #work() {
    if (this.#isWorking || this.isStuck) return;
    this.#isWorking = true;
    while (!this.isEmpty && !this.isStuck) {
      try {
        await this.#jobs[0].run();
        this.#jobs.shift();
      } catch (error) {
        this.#stop(error);
      }
      this.#show();
    }
    this.#isWorking = false;
  }

  #stop(error) {
    const text = error instanceof DeskStuckError ? error.message : this.texts.sayFailed;
    this.isStuck = true;
    this.#part("problem-text").textContent = text;
    this.#part("sign-in").hidden = !error.isSignedOut;
    this.#part("problem").hidden = false;
    this.announce(text, true);
  }

  #show() {
    const waiting = this.#part("waiting");
    waiting.hidden = this.isEmpty;
    waiting.textContent = this.#jobs.length || "";
    const texts = this.#jobs.map((job) => job.text).filter(Boolean);
    this.#part("problem-codes").textContent = texts.join("   ");
  }

  #part(name) {
    return this.desk.querySelector(`[data-part="${name}"]`);
  }
}
