let archive = `Own
