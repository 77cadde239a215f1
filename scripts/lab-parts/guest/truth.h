#ifndef TRUTH_H
#define TRUTH_H

/* Prints one JSON object: what the table says, and what the kernel tells user space about it. */
void print_truth(void);

#endif
