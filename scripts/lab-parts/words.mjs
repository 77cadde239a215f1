// How a step of the lab ends badly: in words. LAB_DEBUG=1 shows where in the code as well.

/** @param {() => Promise<void>} step */
export async function inWords(step) {
  try {
    await step();
  } catch (error) {
    if (process.env.LAB_DEBUG) throw error;
    for (let at = error; at instanceof Error; at = at.cause) console.error(`lab: ${at.message}`);
    process.exitCode = 1;
  }
}
