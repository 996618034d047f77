// The code of a hashing thread: handles one password at a time, with a lower priority than the rest of the service, so that hashes do not
// take the processor from relayed calls.
import { constants, setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import { hashSync, verifySync } from "@node-rs/argon2";
import { ARGON2, type Answer, type Job } from "./passwords.ts";

// On Linux this sets the priority of the calling thread, elsewhere that of the whole process (setpriority(2), "C library/kernel
// differences").
if (process.platform === "linux") setPriority(constants.priority.PRIORITY_BELOW_NORMAL);

parentPort?.on("message", (job: Job) => {
  const answer: Answer =
    job.of === undefined ? hashSync(job.password, ARGON2) : verifySync(job.of, job.password);
  parentPort?.postMessage(answer);
});
