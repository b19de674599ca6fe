// Serves emulate's Stripe on 127.0.0.1 until standard input is closed. Prints its address.
// Arguments: where to send webhooks, and the secret to sign them with.
import { createEmulator } from "emulate";

const [url, secret] = process.argv.slice(2);
const stripe = await createEmulator({
  service: "stripe",
  port: 0,
  hostname: "127.0.0.1",
  seed: { stripe: { webhooks: [{ url, secret, events: ["checkout.session.completed", "checkout.session.expired", "payment_intent.succeeded"] }] } },
});
console.log(`http://127.0.0.1:${new URL(stripe.url).port}`);
process.stdin.on("end", () => process.exit()).resume();
